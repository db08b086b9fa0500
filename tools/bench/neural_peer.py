"""PyTorch's processor time for the neural algorithms of the bench, on one thread: the networks, losses, epochs and batches that
Vedette is timed with, written as its users write them (torch.nn, torch.optim, a loop over a shuffled tensor).

usage: neural_peer.py FILE ROWS COLUMNS REPEATS ALGORITHM[:EPOCHS:BATCH][,...]
FILE holds ROWS x COLUMNS little-endian doubles, column-major. Prints a line "ALGORITHM SECONDS" each, the least of the
repeats of: standardise, train, score the training rows.
"""
import math
import os
import sys
import time

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"  # before torch is loaded

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.set_flush_denormal(True)  # as Vedette does


def chain(*sizes, hidden=nn.ReLU, last=None, bias=True):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b, bias=bias))
        if i + 2 < len(sizes):
            layers.append(hidden())
    if last is not None:
        layers.append(last())
    return nn.Sequential(*layers)


def parameters(*modules):
    return [p for m in modules for p in m.parameters()]


def batches(x, epochs, size):
    for epoch in range(epochs):
        order = torch.randperm(len(x))
        for begin in range(0, len(x), size):
            yield epoch, x[order[begin:begin + size]]


def step(optimizer, loss):
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def autoencoder(x, epochs, size):
    d = x.shape[1]
    net = chain(d, 64, 32, 8, 32, 64, d)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    for _, b in batches(x, epochs, size):
        step(optimizer, F.mse_loss(net(b), b))
    return lambda: ((net(x) - x) ** 2).mean(1)


def vae(x, epochs, size):
    d = x.shape[1]
    encode, decode = chain(d, 128, 64, 32, 4), chain(2, 32, 64, 128, d)
    optimizer = torch.optim.Adam(parameters(encode, decode), lr=1e-3)
    for _, b in batches(x, epochs, size):
        mean, log_variance = encode(b).chunk(2, dim=1)
        log_variance = log_variance.clamp(-20, 20)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        divergence = 0.5 * (mean ** 2 + log_variance.exp() - log_variance - 1).sum(1)
        step(optimizer, (0.5 * ((decode(z) - b) ** 2).sum(1) + 0.5 * d * divergence).mean())
    return lambda: ((decode(encode(x)[:, :2]) - x) ** 2).mean(1)


def deep_svdd(x, epochs, size):
    net = chain(x.shape[1], 64, 32, bias=False)
    with torch.no_grad():
        centre = net(x).mean(0)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-4, weight_decay=1e-6)
    for _, b in batches(x, epochs, size):
        step(optimizer, ((net(b) - centre) ** 2).sum(1).mean())
    return lambda: ((net(x) - centre) ** 2).sum(1)


def ae1svm(x, epochs, size):
    d = x.shape[1]
    encode, decode = chain(d, 64, 32), chain(32, 64, d)
    waves, phases = torch.randn(32, 1000), torch.rand(1000) * 2 * math.pi
    plane = nn.Linear(1000, 1)
    optimizer = torch.optim.Adam(parameters(encode, decode, plane), lr=1e-3)

    def decide(code):
        return plane(torch.cos(code @ waves + phases) * math.sqrt(2 / 1000))

    for _, b in batches(x, epochs, size):
        code = encode(b)
        margin = 0.5 * (plane.weight ** 2).sum() + F.relu(-decide(code)).mean() / 0.1
        step(optimizer, F.mse_loss(decode(code), b) + margin + plane.bias.sum())
    return lambda: -decide(encode(x))


def so_gaal(x, epochs, size):
    d = x.shape[1]
    critic, maker = chain(d, 32, 1), chain(d, d, d)
    learn_critic = torch.optim.SGD(critic.parameters(), lr=0.01, momentum=0.9)
    learn_maker = torch.optim.SGD(maker.parameters(), lr=1e-4, momentum=0.9)
    for epoch, b in batches(x, epochs, size):
        made = maker(torch.rand(len(b), d))
        step(learn_critic, F.softplus(-critic(b)).mean() + F.softplus(critic(made.detach())).mean())
        if epoch < epochs // 3:
            step(learn_maker, F.softplus(-critic(made)).mean())
    return lambda: -critic(x)


def alad(x, epochs, size):
    d, latent = x.shape[1], 8
    encode, make = chain(d, 64, 32, latent), chain(latent, 32, 64, d)
    row_code, code_code = chain(d + latent, 64, 32, 1), chain(2 * latent, 32, 1)
    features, head = chain(2 * d, 64, 32, last=nn.ReLU), nn.Linear(32, 1)
    learn_critics = torch.optim.Adam(parameters(row_code, code_code, features, head), lr=2e-4)
    learn_makers = torch.optim.Adam(parameters(encode, make), lr=2e-4)

    def pair(a, b):
        return torch.cat((a, b), 1)

    def entropies(judge, real, made, target):
        real, made = judge(real), judge(made)
        return F.softplus(-real if target else real).mean() + F.softplus(made if target else -made).mean()

    def loss(b, z, code, rows, again, code_again, target):
        return (entropies(row_code, pair(b, code), pair(rows, z), target) +
                entropies(lambda r: head(features(r)), pair(b, b), pair(b, again), target) +
                entropies(code_code, pair(z, z), pair(z, code_again), target))

    for _, b in batches(x, epochs, size):
        z = torch.randn(len(b), latent)
        code, rows = encode(b), make(z)
        parts = code, rows, make(code), encode(rows)
        step(learn_critics, loss(b, z, *(p.detach() for p in parts), True))
        step(learn_makers, loss(b, z, *parts, False))

    def score():
        again = make(encode(x))
        return (features(pair(x, x)) - features(pair(x, again))).abs().sum(1)
    return score


def main():
    path, rows, columns, repeats, names = sys.argv[1:6]
    X = np.fromfile(path, dtype="<f8").reshape((int(columns), int(rows))).T.copy()
    for name in names.split(","):
        name, epochs, size = name.split(":")
        best = None
        for _ in range(int(repeats)):
            start = time.process_time()
            x = torch.tensor((X - X.mean(axis=0)) / np.maximum(X.std(axis=0), 1e-300), dtype=torch.float32)
            score = globals()[name](x, int(epochs), int(size))
            with torch.no_grad():
                score()
            seconds = time.process_time() - start
            best = seconds if best is None else min(best, seconds)
        print(name, best, flush=True)


main()
