import * as v from 'valibot'
import { failureCode } from './vision-protocol.ts'

/** What the trial process says at its end, as JSON. A model may have taken it over: nothing else is believed. */

/** Longest texts in it, in characters; the trial process cuts its own. */
export const maxLength = { message: 2000, problem: 300 } as const
/** Problems of one golden sample. */
export const maxProblems = 5

const ms = v.pipe(v.number(), v.minValue(0))

const goldenReportSchema = v.strictObject({
  input: v.string(),
  ms,
  /** Largest distance from an expected score, over the expectations that were met. */
  worstScoreError: ms,
  /** What is wrong, in words; empty when the copy behaves as its maker saw it behave. */
  problems: v.pipe(v.array(v.pipe(v.string(), v.maxLength(maxLength.problem))), v.maxLength(maxProblems), v.readonly()),
})

export const trialReportSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('done'),
    loadMs: ms,
    golden: v.pipe(v.array(goldenReportSchema), v.readonly()),
    /** Median of the runs: those of the golden samples, and more where they are few. */
    inferenceMs: ms,
    /** Most resident memory, in MB. */
    peakMb: ms,
  }),
  v.strictObject({
    type: v.literal('failed'),
    code: failureCode,
    message: v.pipe(v.string(), v.maxLength(maxLength.message)),
  }),
])

/** No honest report has more. */
export const maxTrialReportBytes = 4 * 1024 * 1024

export type GoldenReport = v.InferOutput<typeof goldenReportSchema>
export type TrialReport = v.InferOutput<typeof trialReportSchema>
