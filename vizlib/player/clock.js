// When the next step is due.  Knows no screen and asks no clock: the time comes with each frame.

/** How long a step stays at speed 1, in milliseconds: long enough to read its sentence. */
export const DWELL = 2000;

/** The speeds on offer. */
export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];

/** Turns the timestamps of animation frames into elapsed time and due steps. */
export class Clock {
  constructor() {
    this.playing = false;
    this.speed = 1;
    /** How much of the usual time the step on show deserves. */
    this.weight = 1;
    this.since = 0;
    /** @type {number | null} */
    this.last = null;
  }

  /** Forget the last frame: the next one starts anew.  A frame's timestamp may lie before the click that asked for it. */
  reset() {
    this.last = null;
    this.since = 0;
  }

  /** One step's time at this speed. */
  get dwell() {
    return (DWELL * this.weight) / this.speed;
  }

  /** How long motion may take, so that it ends before the next step. */
  get motion() {
    return this.playing ? Math.min(700, this.dwell * 0.8) : 700;
  }

  /**
   * A frame came.
   * @param {number} now the frame's timestamp
   * @returns {{elapsed: number, steps: number}} never negative, whatever the timestamps are
   */
  frame(now) {
    const elapsed = this.last === null ? 0 : Math.min(250, Math.max(0, now - this.last));
    this.last = now;
    if (!this.playing) return { elapsed, steps: 0 };
    this.since += elapsed;
    const steps = Math.floor(this.since / this.dwell);
    this.since -= steps * this.dwell;
    return { elapsed, steps };
  }
}
