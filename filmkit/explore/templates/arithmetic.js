// The arithmetic of attention and of caches, as extract/attention/arithmetic.py and
// extract/facts/architectures.py have it. Nothing here knows the page.

/**
 * Numbers by position, head and so on, row by row.
 * @typedef {{ data: Float64Array, shape: number[] }} Tensor
 *
 * What a layer's scores are made with, besides queries and keys.
 * @typedef {{ scale: number, cap: number, window: number, bias?: Tensor, sinks?: Tensor }} Scoring
 *
 * The angles by which pairs of channels are turned: their cosines and sines (position, pair).
 * @typedef {{ cos: Tensor, sin: Tensor, pairs: number[][] }} Rotation
 *
 * One query's attention to the keys up to its own position. A key that it may not read has weight 0.
 * @typedef {{ dots: number[], scores: number[], weights: number[] }} Row
 */

/** The products of two lists, one by one. */
function products(a, b) {
  return Array.from(a, (value, i) => value * b[i]);
}

/** What the products of two lists add up to, channel by channel: as many sums as there are channels. */
function runningSums(a, b) {
  let sum = 0;
  return products(a, b).map((product) => (sum += product));
}

function dot(a, b) {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

/**
 * The softmax of scores at a temperature, which divides them; 1 is the model's own.
 * A score of -Infinity is that of a key that may not be read.
 */
function softmax(scores, temperature = 1) {
  const most = Math.max(...scores);
  const exponentials = scores.map((score) => Math.exp((score - most) / temperature));
  const sum = exponentials.reduce((total, value) => total + value, 0);
  return exponentials.map((value) => value / sum);
}

/**
 * The numbers of one position and head.
 * @param {Tensor} tensor (position, head, channel)
 */
function channels({ data, shape }, position, head) {
  const [, heads, width] = shape;
  const start = (position * heads + head) * width;
  return data.subarray(start, start + width);
}

/**
 * One number of a head's bias.
 * @param {Tensor} tensor (head, query, key)
 */
function cellOfHead({ data, shape }, head, query, key) {
  const [, queries, keys] = shape;
  return data[(head * queries + query) * keys + key];
}

/**
 * The attention of one query of one head, computed from queries and keys.
 * @param {Tensor} q queries (position, head, channel), as used in the scores
 * @param {Tensor} k keys (position, set, channel); heads share sets in equal groups
 * @param {Scoring} scoring
 * @returns {Row}
 */
function attendRow(q, k, scoring, head, query, temperature = 1) {
  const set = Math.floor((head * k.shape[1]) / q.shape[1]);
  const asked = channels(q, query, head);
  const keys = Array.from({ length: query + 1 }, (_, key) => key);
  const dots = keys.map((key) => dot(asked, channels(k, key, set)));
  const scores = dots.map((value, key) => {
    const scaled = scoring.scale * value + (scoring.bias ? cellOfHead(scoring.bias, head, query, key) : 0);
    const score = scoring.cap ? scoring.cap * Math.tanh(scaled / scoring.cap) : scaled;
    return scoring.window && query - key >= scoring.window ? -Infinity : score;
  });
  // A sink is a key without a value: it takes its share, and nothing is read from it.
  const sink = scoring.sinks ? [scoring.sinks.data[head]] : [];
  const weights = softmax([...scores, ...sink], temperature).slice(0, scores.length);
  return { dots, scores, weights };
}

/** The pattern of a head: for each query its weights, 0 for keys that come later. */
function attend(q, k, scoring, head) {
  const count = q.shape[0];
  return Array.from({ length: count }, (_, query) => {
    const { weights } = attendRow(q, k, scoring, head, query);
    return [...weights, ...Array(count - weights.length).fill(0)];
  });
}

/** The values of one set, (position, set, channel), summed with weights: z. */
function mix(weights, v, set) {
  const sum = Array(v.shape[2]).fill(0);
  weights.forEach((weight, position) => {
    channels(v, position, set).forEach((value, channel) => (sum[channel] += weight * value));
  });
  return sum;
}

/** Keys or values of more sets than before, or of fewer: copies, or the means of neighbours. */
function pool(tensor, sets) {
  const [positions, before, width] = tensor.shape;
  const data = new Float64Array(positions * sets * width);
  for (let position = 0; position < positions; position++) {
    for (let set = 0; set < sets; set++) {
      const first = Math.floor((set * before) / sets);
      const group = Math.max(1, before / sets);
      for (let channel = 0; channel < width; channel++) {
        let sum = 0;
        for (let member = first; member < first + group; member++) sum += channels(tensor, position, member)[channel];
        data[(position * sets + set) * width + channel] = sum / group;
      }
    }
  }
  return { data, shape: [positions, sets, width] };
}

/** The share of a row's attention that goes to other keys in another one: total variation. */
function moved(row, other) {
  return row.reduce((sum, weight, i) => sum + Math.abs(weight - other[i]), 0) / 2;
}

/** The mean of that over all rows of a pattern but the first, which has only one key. */
function movedInPattern(pattern, other) {
  const rows = pattern.map((row, i) => moved(row, other[i])).slice(1);
  return rows.length ? rows.reduce((sum, share) => sum + share, 0) / rows.length : 0;
}

/**
 * How many numbers one token takes in a cache, over all layers.
 * @param {{ heads: number, sets: number, layers: number, width: number, latent: number[] }} model
 * @param {string} scheme "mha", "gqa", "mqa" or "mla"
 */
function cacheNumbers({ heads, sets, layers, width, latent }, scheme) {
  // A latent in DeepSeek's proportions, for a model that has none: 4 head widths, and half of one.
  const sizes = latent.length ? latent : [4 * width, Math.floor(width / 2)];
  const perLayer = {
    mha: 2 * heads * width,
    gqa: 2 * sets * width,
    mqa: 2 * width,
    mla: sizes.reduce((sum, size) => sum + size, 0),
  }[scheme];
  return layers * perLayer;
}

/** Which keys are read: the last ones, the first and the last ones, or those with the most weight. */
function chosenKeys(weights, way, count) {
  const keys = weights.map((_, key) => key);
  if (way === "last") return keys.slice(-count);
  if (way === "first") return keys.filter((key) => key === 0 || key > keys.length - count);
  return [...keys].sort((a, b) => weights[b] - weights[a] || a - b).slice(0, count);
}

/** The share of attention, the mean of rows, that some keys hold. */
function shareHeld(rows, keysOf) {
  const shares = rows.map((row) => keysOf(row).reduce((sum, key) => sum + row[key], 0));
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

/**
 * Keys or values (position, set, channel) made of the first channels of a latent.
 * @param {Tensor} latent (position, rank)
 * @param {Tensor} matrix (rank, set, channel)
 * @param {number} rank how many channels
 * @returns {Tensor}
 */
function expand(latent, matrix, rank) {
  const [positions, full] = latent.shape;
  const size = matrix.shape[1] * matrix.shape[2];
  const data = new Float64Array(positions * size);
  for (let position = 0; position < positions; position++) {
    for (let channel = 0; channel < rank; channel++) {
      const amount = latent.data[position * full + channel];
      for (let i = 0; i < size; i++) data[position * size + i] += amount * matrix.data[channel * size + i];
    }
  }
  return { data, shape: [positions, ...matrix.shape.slice(1)] };
}

/**
 * Turn pairs of channels by the angles of their position.
 * @param {Tensor} tensor (position, set, channel)
 * @param {Rotation} rotation
 * @returns {Tensor}
 */
function rotate(tensor, { cos, sin, pairs }) {
  const { shape } = tensor;
  const rotated = { data: Float64Array.from(tensor.data), shape };
  for (let position = 0; position < shape[0]; position++) {
    for (let set = 0; set < shape[1]; set++) {
      const [before, after] = [tensor, rotated].map((each) => channels(each, position, set));
      pairs.forEach(([first, second], pair) => {
        const at = position * pairs.length + pair;
        after[first] = before[first] * cos.data[at] - before[second] * sin.data[at];
        after[second] = before[first] * sin.data[at] + before[second] * cos.data[at];
      });
    }
  }
  return rotated;
}

/**
 * The keys that a latent gives, as used in the scores; extract/latent/duel.py has the same.
 * @param {Tensor} latent (position, rank)
 * @param {Tensor} matrix (rank, set, channel)
 * @param {number} rank how many channels of the latent are kept
 * @param {{ rotation?: Rotation, own?: Tensor, first: number }} given "own" are the model's keys before
 *   their rotation, if they have a bias: what the latent misses on average, from position "first" on,
 *   is added
 * @returns {Tensor}
 */
function keysOfLatent(latent, matrix, rank, { rotation, own, first }) {
  const keys = expand(latent, matrix, rank);
  if (own) {
    const [positions, sets, width] = keys.shape;
    for (let i = 0; i < sets * width; i++) {
      let lost = 0;
      for (let position = first; position < positions; position++) {
        lost += own.data[position * sets * width + i] - keys.data[position * sets * width + i];
      }
      for (let position = 0; position < positions; position++) {
        keys.data[position * sets * width + i] += lost / (positions - first);
      }
    }
  }
  return rotation ? rotate(keys, rotation) : keys;
}
