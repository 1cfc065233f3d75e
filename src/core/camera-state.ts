import * as v from 'valibot'

/** What a camera can be, as the `state` topic and the log name it. */
export const cameraStateSchema = v.picklist([
  /** Being opened for the first time, or after it was online. */
  'starting',
  'online',
  /** It delivered frames and stopped, without an error. */
  'stalled',
  /** Not there: no such camera, file, host or program. */
  'absent',
  /** Another program has it. */
  'busy',
  /** We may not open it. */
  'denied',
  /** Its process can't be ended, not even by SIGKILL. */
  'wedged',
  /** Anything else, in its own words. */
  'failed',
])

export type CameraState = v.InferOutput<typeof cameraStateSchema>

/** A camera that can't go on: why, and what a person can do. sightd itself tries again, whatever it is. */
export class CameraError extends Error {
  override readonly name = 'CameraError'
  readonly state: CameraState
  readonly advice: string | null

  constructor(state: CameraState, message: string, advice: string | null = null, options?: ErrorOptions) {
    super(message, options)
    this.state = state
    this.advice = advice
  }
}
