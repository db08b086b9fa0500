"""scikit-learn's processor time for the algorithms of the bench, on one thread.

usage: sklearn_peer.py FILE ROWS COLUMNS REPEATS ALGORITHM[,ALGORITHM...]
FILE holds ROWS x COLUMNS little-endian doubles, column-major. Prints a line "ALGORITHM SECONDS" each: the least of the
repeats, of the same work that Vedette is timed for (fit for the training scores; iforest: fit and score).
"""
import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before numpy is loaded

import numpy as np
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors


def iforest(X):
    IsolationForest(random_state=42).fit(X).score_samples(X)


def knn(X):
    NearestNeighbors(n_neighbors=5).fit(X).kneighbors()


def lof(X):
    LocalOutlierFactor(n_neighbors=20, novelty=True).fit(X)


def pca(X):
    X = (X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-300)
    PCA().fit(X).transform(X)


def main():
    path, rows, columns, repeats, names = sys.argv[1:6]
    X = np.fromfile(path, dtype="<f8").reshape((int(columns), int(rows))).T.copy()
    for name in names.split(","):
        best = None
        for _ in range(int(repeats)):
            start = time.process_time()
            globals()[name](X)
            seconds = time.process_time() - start
            best = seconds if best is None else min(best, seconds)
            if seconds > 5:
                break
        print(name, best, flush=True)


main()
