// Dot products of standardised rows with a few fixed vectors, sixteen rows at a time.
#pragma once

#include <cstdint>

namespace vedette::outlier {

/// out[c * 16 + r] = sum over j of z[j * 16 + r] * vectors[c * d + j], for c < k. The terms of every sum are added in the
/// order of j whatever the other rows are, so a row's result does not depend on its place in a batch.
void ProjectTile(const double* z, int64_t d, const double* vectors, int64_t k, double* out);

}  // namespace vedette::outlier
