// Dot products of standardised rows with a few fixed vectors, sixteen rows at a time, or four.
#pragma once

#include <cstdint>

namespace vedette::outlier {

/// out[c * lanes + r] = sum over j of z[j * lanes + r] * vectors[c * d + j], for c < k; lanes 16, or 4 for a few rows.
/// The terms of every sum are fused into it in the order of j whatever the other rows are, so a row's result does not
/// depend on its place in a batch.
void ProjectTile(const double* z, int64_t d, const double* vectors, int64_t k, double* out, int lanes = 16);

}  // namespace vedette::outlier
