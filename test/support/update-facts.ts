import * as v from 'valibot'
import type { UpdateOutcome } from '../../src/core/update-status.ts'

/** What the world has seen of a device, which no crash may undo. Versions of models; never changed in place. */
export const factsSchema = v.object({
  /** Of the metadata that it trusts: root, timestamp, snapshot, targets. */
  metadata: v.array(v.number()),
  /** The rollback index below which nothing may be installed. */
  floor: v.number(),
  /** In charge by the newest report, and what may be so without one. */
  settled: v.string(),
  underWay: v.optional(v.string()),
  /** Reported as not good. */
  bad: v.array(v.string()),
})
export type Facts = Readonly<v.InferOutput<typeof factsSchema>>

export const noFacts: Facts = { metadata: [0, 0, 0, 0], floor: 0, settled: '0', bad: [] }

/** Codes of failures that were not the model's. */
const passing = ['store_failed', 'no_space', 'storage']

export function withMetadata(facts: Facts, versions: readonly number[]): Facts {
  return { ...facts, metadata: versions.map((version, i) => Math.max(version, facts.metadata[i] ?? 0)) }
}

/** A model was said to be in charge for good. */
export function withSettled({ underWay: _, ...facts }: Facts, version: string, rollbackIndex: number): Facts {
  return { ...facts, floor: Math.max(facts.floor, rollbackIndex), settled: version }
}

/** How an update ended, if that says that its model is not good. */
export function withEnding(facts: Facts, { outcome, code, model: { version } }: UpdateOutcome): Facts {
  if (outcome === 'committed' || passing.includes(code) || facts.bad.includes(version)) return facts
  const { underWay, ...rest } = facts
  const bad = [...facts.bad, version]
  return underWay === undefined || underWay === version ? { ...rest, bad } : { ...facts, bad }
}
