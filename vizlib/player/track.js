// Intervals in time, half a million of them: which are to be seen, how much of a stretch they cover, which is next.

const FINEST = 1 << 16; // buckets of the finest level; each level above has half as many

/** Intervals in order of their starts, and how much of each bucket they cover. */
export class Track {
  /** @param {number[][]} columns starts as differences, lengths, labels @param {number} end */
  constructor([steps, lengths, labels], end) {
    let at = 0;
    this.from = Float64Array.from(steps, (step) => (at += step));
    this.to = Float64Array.from(lengths, (length, i) => this.from[i] + length);
    this.labels = labels;
    this.end = end;
    // An interval may end after later ones: to look backwards, know the latest end so far.
    let latest = 0;
    this.latest = this.to.map((to) => (latest = Math.max(latest, to)));
    this.levels = [this.#finest()];
    while (this.levels[0].length > 256) this.levels.unshift(halved(this.levels[0]));
  }

  #finest() {
    const shares = new Float32Array(FINEST);
    const width = this.end / FINEST || 1;
    for (let i = 0; i < this.from.length; i += 1) {
      const [from, to] = [this.from[i] / width, Math.max(this.to[i], this.from[i] + width * 0.01) / width];
      for (let b = Math.floor(from); b < Math.min(FINEST, to); b += 1) shares[b] = Math.min(1, shares[b] + Math.min(to, b + 1) - Math.max(from, b));
    }
    return shares;
  }

  /** The first interval that may still last at a time. */
  first(time) {
    return firstOf(this.latest, (latest) => latest >= time);
  }

  /** The first interval that begins after a time. */
  after(time) {
    return firstOf(this.from, (from) => from > time);
  }

  /** The shares of a stretch in so many pieces. @returns {Float32Array} */
  shares(from, to, pieces) {
    const wanted = (pieces * this.end) / (to - from);
    const level = this.levels.find((it) => it.length >= wanted) ?? this.levels[this.levels.length - 1];
    const out = new Float32Array(pieces);
    const width = this.end / level.length;
    const [since, long] = [from / width, (to - from) / width / pieces];
    for (let i = 0; i < pieces; i += 1) {
      const [a, b] = [since + long * i, since + long * (i + 1)];
      let sum = 0;
      for (let k = Math.floor(a); k < b; k += 1) sum += (level[k] ?? 0) * (Math.min(b, k + 1) - Math.max(a, k));
      out[i] = sum / (b - a);
    }
    return out;
  }
}

/** The place of the first of ascending numbers that is far enough. @param {Float64Array} its @param {(it: number) => boolean} enough */
function firstOf(its, enough) {
  let [low, high] = [0, its.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (enough(its[middle])) high = middle;
    else low = middle + 1;
  }
  return low;
}

function halved(shares) {
  return Float32Array.from({ length: shares.length / 2 }, (_, i) => (shares[2 * i] + shares[2 * i + 1]) / 2);
}

/** @typedef {{track: number, i: number}} Spot an interval: which track, and which of its intervals */

/**
 * The interval before or after one in order of their starts, among several tracks; of two that begin at the same time
 * the one in the earlier track comes first.
 * @param {Track[]} tracks @param {Spot} at @param {number} by 1 or -1 @returns {Spot | null}
 */
export function neighbour(tracks, at, by) {
  const time = tracks[at.track].from[at.i];
  const near = (it, track) => {
    if (track === at.track) return at.i + by;
    const first = it.after(track < at.track ? time : time - 0.5); // times are whole
    return by > 0 ? first : first - 1;
  };
  return earliest(tracks, tracks.map((it, track) => ({ track, i: near(it, track) })), by);
}

/** The interval that has begun last at a time; before all of them, the first. @param {Track[]} tracks @param {number} time @returns {Spot | null} */
export function beginningBy(tracks, time) {
  return earliest(tracks, tracks.map((it, track) => ({ track, i: it.after(time) - 1 })), -1)
    ?? earliest(tracks, tracks.map((_, track) => ({ track, i: 0 })), 1);
}

/** The earliest of some intervals that are there, or the latest. @param {Track[]} tracks @param {Spot[]} spots @param {number} by */
function earliest(tracks, spots, by) {
  const start = (it) => tracks[it.track].from[it.i];
  const there = spots.filter((it) => it.i >= 0 && it.i < tracks[it.track].from.length);
  return there.sort((a, b) => by * (start(a) - start(b) || a.track - b.track))[0] ?? null;
}

/** How many intervals there are up to one, and in all. @param {Track[]} tracks @param {Spot} at */
export function placeOf(tracks, at) {
  const time = tracks[at.track].from[at.i];
  const upTo = tracks.map((it, track) => (track === at.track ? at.i + 1 : it.after(track < at.track ? time : time - 0.5)));
  return [upTo, tracks.map((it) => it.from.length)].map((them) => them.reduce((sum, it) => sum + it, 0));
}
