import type { FrameCounters } from '../core/vision-protocol.ts'

export const noFrames: FrameCounters = { captured: 0, inferred: 0, dropped: 0, skipped: 0, still: 0, pending: 0 }

export function addCounters(a: FrameCounters, b: FrameCounters): FrameCounters {
  return {
    captured: a.captured + b.captured,
    inferred: a.inferred + b.inferred,
    dropped: a.dropped + b.dropped,
    skipped: a.skipped + b.skipped,
    still: a.still + b.still,
    pending: a.pending + b.pending,
  }
}

/** Last known counters of a process that is gone: what was pending then has gone with it. */
export function lostWithProcess({ pending, ...counters }: FrameCounters): FrameCounters {
  return { ...counters, dropped: counters.dropped + pending, pending: 0 }
}
