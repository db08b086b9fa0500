// faiss' exact k nearest neighbours of all rows, for algorithms_bench: faiss_peer FILE ROWS COLUMNS K REPEATS prints
// "faiss-flat SECONDS", the least processor time. FILE holds doubles, column after column.
#include <faiss/IndexFlat.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <vector>

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  const long rows = std::atol(argv[2]), columns = std::atol(argv[3]), k = std::atol(argv[4]), repeats = std::atol(argv[5]);
  if (rows < 1 || columns < 1 || k < 1 || k > rows || repeats < 1) return 2;
  std::vector<double> values(static_cast<size_t>(rows * columns));
  std::ifstream file(argv[1], std::ios::binary);
  if (!file.read(reinterpret_cast<char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(double)))) return 1;
  std::vector<float> X(values.size()), distances(static_cast<size_t>(rows * k));
  for (long i = 0; i < rows; ++i) {
    for (long j = 0; j < columns; ++j) X[static_cast<size_t>(i * columns + j)] = static_cast<float>(values[static_cast<size_t>(j * rows + i)]);
  }
  std::vector<faiss::Index::idx_t> ids(distances.size());
  double best = 1e300;
  for (long r = 0; r < repeats; ++r) {
    const std::clock_t start = std::clock();
    faiss::IndexFlatL2 index(columns);
    index.add(rows, X.data());
    index.search(rows, X.data(), k, distances.data(), ids.data());
    best = std::min(best, static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC);
  }
  std::printf("faiss-flat %.6f\n", best);
  return 0;
}
