"""The trace: the attention activations of one model for one prompt, stored as one file.

Pictures read every measured number from a trace.  This package needs only numpy and safetensors, so
rendering never loads a model library.

The file
--------
One ``.safetensors`` file.  Its metadata holds one JSON document under the key ``trace``: the fields
of `TraceMeta`.  The key ``seal`` holds a checksum of the whole file, see `extract.trace.seal`;
files of older versions have none.  ``token_ids`` are the prompt and the tokens after it, and every
tensor covers all of them: ``pos`` below is ``len(token_ids)``.  Rows are queries, columns are keys.
Tensors are float32, ``top_ids`` int32.

For every layer L, counted from 0:

================  =============================  ==================================================
name              shape                          what it is
================  =============================  ==================================================
``x.L``           [pos, d_model]                 the normalised input of attention
``q.L``           [pos, n_heads, d_qk]           queries, before any norm and rotation
``k.L``           [pos, n_kv_heads, d_qk]        keys, before any norm and rotation
``v.L``           [pos, n_kv_heads, d_v]         values
``q_norm.L``      [pos, n_heads, d_qk]           queries after the norm that some models have
                                                 between projection and rotation (`HeadNorm`)
``k_norm.L``      [pos, n_kv_heads, d_qk]        keys after it
``g_q_norm.L``    [n_heads, d_qk]                gain of that norm, and ``b_q_norm.L`` its bias
``g_k_norm.L``    [n_kv_heads, d_qk]             the same for the keys
``q_rot.L``       [pos, n_heads, d_qk]           queries as used in the scores (rotary models only)
``k_rot.L``       [pos, n_kv_heads, d_qk]        keys as used in the scores (rotary models only)
``sinks.L``       [n_heads]                      scores of a key that is no token, which some
                                                 models count in their softmax
``pattern.L``     [n_heads, query_pos, key_pos]  attention pattern, after the softmax
``z.L``           [pos, n_heads, d_v]            pattern times values, head by head
``out.L``         [pos, d_model]                 output of attention, after W_O and b_O
``kv_latent.L``   [pos, r]                       MLA only: the cached latent, normalised
``k_rope.L``      [pos, rotary_dim]              MLA only: the cached rotated part of the key,
                                                 shared by all heads
``q_latent.L``    [pos, r_q]                     MLA only, where queries are compressed: the latent
                                                 that they come from, normalised
================  =============================  ==================================================

For the layers whose weights are stored (at least the featured one):

================  =============================  ==================================================
``W_Q.L``         [d_model, n_heads, d_qk]
``W_K.L``         [d_model, n_kv_heads, d_qk]
``W_V.L``         [d_model, n_kv_heads, d_v]
``W_O.L``         [n_heads, d_v, d_model]
``b_Q.L``         [n_heads, d_qk]                biases, where the model has them
``b_K.L``         [n_kv_heads, d_qk]
``b_V.L``         [n_kv_heads, d_v]
``b_O.L``         [d_model]
================  =============================  ==================================================

An MLA layer has ``W_O.L`` and these instead, and for the queries either ``W_Q.L`` or the three
weights of the query latent (``W_DQ.L``, ``g_Q.L``, ``W_UQ.L``):

================  =============================  ==================================================
``W_DKV.L``       [d_model, r]                   down to the latent
``g_KV.L``        [r]                            gain of the latent's RMS norm
``W_UK.L``        [r, n_heads, d_content]        up to the keys; d_content = d_qk - rotary_dim
``W_UV.L``        [r, n_heads, d_v]              up to the values
``W_KR.L``        [d_model, rotary_dim]          to the shared part of the key, before rotation
``W_DQ.L``        [d_model, r_q]                 down to the query latent
``g_Q.L``         [r_q]                          gain of its RMS norm
``W_UQ.L``        [r_q, n_heads, d_qk]           up to the queries
================  =============================  ==================================================

A latent fitted to a layer afterwards (`extract.latent`): ``latent.L.W_DKV`` [d_model, r],
``latent.L.W_UK`` [r, n_kv_heads, d_qk], ``latent.L.W_UV`` [r, n_kv_heads, d_v] and, for a layer
with biases, ``latent.L.b_O`` [d_model].  For a layer that does not rotate, the best key that all
heads can share: ``shared.L.W_DK`` [d_model, d_qk] and ``shared.L.W_UK`` [d_qk, n_kv_heads, d_qk].

A conversion of the whole model into MLA (`extract.conversion`): ``mla.L.pattern`` of every layer,
and of the featured layer its new weights and every step, with the names of
`extract.trace.contents.conversion_names`; ``rung.WAY.NUMBERS.*``, the featured head's keys, values
and pattern at each measured size; and ``duel.WAY.pattern`` [n_heads, query_pos, key_pos] of the
featured layer in each way of the duel, with the queries and keys that it is computed from,
``duel.WAY.q_used`` [pos, n_heads, width] and ``duel.WAY.k_used`` [pos, sets, width].

Once per trace: ``top_ids`` [pos, 5] and ``top_probs`` [pos, 5], the likeliest next tokens at every
position, likeliest first; where ``positions`` is "alibi", ``alibi_slopes`` [n_heads]; where it is
"rotary", ``rope_cos`` and ``rope_sin`` [pos, rotary_dim / 2], the cosine and sine by which each
pair of channels rotates.  A layer that rotates by other angles has its own ``rope_cos.L`` and
``rope_sin.L``.

A trace of patterns that others published (``published`` in the metadata) holds ``pattern.L`` of
every layer and nothing else; an imported one (`extract.models.imported`) may hold ``q.L`` and
``k.L``, as used in the scores, and ``v.L`` too.  Their values may be rounded, so a row of n entries
sums to 1 within n times their ``precision``.

The first ``rotary_dim`` channels of each head rotate, in MLA the last ones.

The names are those of TransformerLens where it has one (``q``, ``k``, ``v``, ``pattern``, ``z``,
``W_Q`` ...).  ``x`` is ``resid_pre`` after the layer's norm, and ``out`` is ``attn_out``.
"""

from extract.errors import TraceError
from extract.trace.contents.meta import (
    SCHEMA,
    TOP_TOKENS,
    Featured,
    ModelSource,
    Published,
    TraceMeta,
)
from extract.trace.contents.tensors import ROTATION
from extract.trace.file import Trace
from extract.trace.proof.prove import ProofError

__all__ = [
    "ROTATION",
    "SCHEMA",
    "TOP_TOKENS",
    "Featured",
    "ModelSource",
    "ProofError",
    "Published",
    "Trace",
    "TraceError",
    "TraceMeta",
]
