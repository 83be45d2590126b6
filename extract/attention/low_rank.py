"""The best latent of a given rank for keys and values together: linear algebra only.

For a layer with keys ``X W_K`` and values ``X W_V``, and ``W = [W_K W_V]``, find the latent of rank
r, ``c = x W_DKV``, from which ``c [W_UK W_UV]`` comes closest to both, for inputs X that the layer
really receives::

    minimise || (X W - X M) D ||_F  over matrices M of rank r,   D = diag(1 / ||K||, 1 / ||V||)

D balances the two halves, of which one can be 30 times larger than the other: an unbalanced fit
would then be a fit of the larger half alone.  With C = X^T X, any S with S^T S = C, and the
singular value decomposition S W D = U Sigma V^T, the solution is ::

    M = W D V_r V_r^T D^-1,      W_DKV = W D V_r,      [W_UK W_UV] = V_r^T D^-1

because ||X A||_F = ||S A||_F for every A, S M D has rank r, and the closest matrix of that rank to
S W D is U_r Sigma_r V_r^T = S W D V_r V_r^T (Eckart and Young 1936).  Its error is the tail of the
singular values.  Of the inputs only C is needed; nothing but D is inverted, so C may be singular.
Methods that whiten, such as SVD-LLM (Wang et al. 2024, arXiv 2403.07378), reach the same fit
through an inverse.  The plain singular value decomposition of the weights is the special case
C = I, so on the inputs that gave C its error is never smaller.

The guarantees hold in the balanced norm; `Errors` reports the plain errors of K and of V beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from extract.attention.arithmetic import Array, as_float64
from extract.support.ranges import Amount

__all__ = [
    "Basis",
    "Errors",
    "Factors",
    "KeyValueWeights",
    "Moments",
    "activation_basis",
    "balance_of",
    "weight_basis",
]


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums over many inputs, in float64, so that the inputs themselves need not be stored.

    Attributes
    ----------
    count : int
        Number of inputs.
    total : (d_model,)
        Sum of the inputs.
    gram : (d_model, d_model)
        Sum of their outer products, ``X^T X``.
    """

    count: int
    total: Array
    gram: Array

    @classmethod
    def of(cls, inputs: ArrayLike) -> Moments:
        """Sum inputs, (position, d_model)."""
        x = as_float64(inputs)
        return cls(len(x), x.sum(axis=0), x.T @ x)

    def __add__(self, other: Moments) -> Moments:
        """Return the sums over the inputs of both."""
        return Moments(self.count + other.count, self.total + other.total, self.gram + other.gram)

    @property
    def mean(self) -> Array:
        """The mean input, (d_model,)."""
        return self.total / self.count

    def about(self, centre: Array) -> Array:
        """Return ``(X - centre)^T (X - centre)``, (d_model, d_model), for a centre (d_model,)."""
        cross = np.outer(self.total, centre)
        return self.gram - cross - cross.T + self.count * np.outer(centre, centre)


@dataclass(frozen=True, eq=False)
class KeyValueWeights:
    """The key and value weights of a layer.

    Attributes
    ----------
    W_K : (d_model, n_kv_heads, d_qk)
    W_V : (d_model, n_kv_heads, d_v)
    """

    W_K: Array
    W_V: Array

    @property
    def joint(self) -> Array:
        """``[W_K W_V]``, (d_model, columns): the columns of all key heads, then all value heads."""
        return np.concatenate([w.reshape(len(w), -1) for w in (self.W_K, self.W_V)], axis=1)

    def split(self, columns: Array) -> tuple[Array, Array]:
        """Split (..., columns) into keys (..., n_kv_heads, d_qk), values (..., n_kv_heads, d_v)."""
        _, n_kv_heads, d_qk = self.W_K.shape
        keys, values = np.split(columns, [n_kv_heads * d_qk], axis=-1)
        outer = columns.shape[:-1]
        return keys.reshape(*outer, n_kv_heads, d_qk), values.reshape(*outer, n_kv_heads, -1)

    @property
    def full_rank(self) -> int:
        """Smallest rank at which a latent loses nothing."""
        return min(len(self.joint), len(self.joint.T))


@dataclass(frozen=True)
class Errors:
    """Errors of keys and values from a latent, relative to the true ones (Frobenius norms).

    Attributes
    ----------
    balanced : float
        Error of keys and values together, each scaled by D; the fit minimises it.
    k, v : float
        Error of the keys, and of the values.
    """

    balanced: Amount
    k: Amount
    v: Amount


@dataclass(frozen=True, eq=False)
class Factors:
    """The weights of a latent.

    Attributes
    ----------
    W_DKV : (d_model, r)
    W_UK : (r, n_kv_heads, d_qk)
    W_UV : (r, n_kv_heads, d_v)
    """

    W_DKV: Array
    W_UK: Array
    W_UV: Array


@dataclass(frozen=True, eq=False)
class Basis:
    """Directions in the space of all keys and values, the most important first.

    Attributes
    ----------
    weights : KeyValueWeights
    balance : (columns,)
        The diagonal of D.
    directions : (columns, full_rank)
        V: orthonormal columns, in the balanced scale; the largest entry of each is positive.
    singular_values : (full_rank,)
        In descending order.
    """

    weights: KeyValueWeights
    balance: Array
    directions: Array
    singular_values: Array

    def factors(self, rank: int) -> Factors:
        """Return the latent of the first `rank` directions."""
        V = self.directions[:, :rank]
        W_UK, W_UV = self.weights.split(V.T / self.balance)
        return Factors((self.weights.joint * self.balance) @ V, W_UK, W_UV)

    def errors(self, rank: int, gram: Array) -> Errors:
        """Measure that latent on inputs given by their ``X^T X``, (d_model, d_model)."""
        factors = self.factors(rank)
        joint = self.weights.joint
        up = KeyValueWeights(factors.W_UK, factors.W_UV).joint
        lost = _energies(joint - factors.W_DKV @ up, gram)
        whole = _energies(joint, gram)
        lost_k, lost_v = (part.sum() for part in self.weights.split(lost))
        whole_k, whole_v = (part.sum() for part in self.weights.split(whole))
        scale = self.balance**2
        return Errors(
            balanced=_relative((lost * scale).sum(), (whole * scale).sum()),
            k=_relative(lost_k, whole_k),
            v=_relative(lost_v, whole_v),
        )


def balance_of(weights: KeyValueWeights, gram: Array) -> Array:
    """Return the diagonal of D, (columns,): 1 / ||K|| for keys and 1 / ||V|| for values."""
    keys, values = weights.split(_energies(weights.joint, gram))
    balance = [np.full(part.size, part.sum() ** -0.5) for part in (keys, values)]
    return np.concatenate(balance)


def activation_basis(weights: KeyValueWeights, gram: Array, balance: Array) -> Basis:
    """Return the directions that matter most for inputs given by their ``X^T X``."""
    # The square root from eigenvalues exists for a singular matrix too, unlike Cholesky's.
    eigenvalues, vectors = np.linalg.eigh(gram)
    root = np.sqrt(eigenvalues.clip(min=0))[:, None] * vectors.T
    return _basis(weights, root, balance)


def weight_basis(weights: KeyValueWeights, balance: Array) -> Basis:
    """Return the directions of the plain singular value decomposition of the weights."""
    return _basis(weights, np.eye(len(weights.joint)), balance)


def _basis(weights: KeyValueWeights, root: Array, balance: Array) -> Basis:
    """Decompose ``S W D``, where `root` is S."""
    balanced = root @ (weights.joint * balance)
    _, singular_values, transposed = np.linalg.svd(balanced, full_matrices=False)
    directions = transposed.T
    # A direction and its opposite are equally good.  Fix the sign, so that pictures look the same
    # on every machine.
    largest = np.abs(directions).argmax(axis=0)
    signs = np.sign(directions[largest, np.arange(directions.shape[1])])
    return Basis(weights, balance, directions * signs, singular_values)


def _energies(columns: Array, gram: Array) -> Array:
    """Return the squared length of each column of ``X A``, for A (d_model, columns)."""
    # Rounding can make an energy of 0 slightly negative.
    energies: Array = (columns * (gram @ columns)).sum(axis=0).clip(min=0)
    return energies


def _relative(lost: float, whole: float) -> float:
    """Return the ratio of two lengths that are given squared."""
    return float(np.sqrt(lost / whole))
