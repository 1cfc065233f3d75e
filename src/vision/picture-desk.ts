import { describeError } from '../core/errors.ts'
import { frameBytes } from '../core/frame.ts'
import type { PictureReport, PictureRequest } from '../core/vision-protocol.ts'
import type { NumberedFrame } from './inference-feed.ts'
import { encodeJpeg } from './picture.ts'

/** Requests that wait for a frame or for the encoder, which has one at a time; more are turned away. */
const maxWaiting = 4

/** How long a request waits for a frame. */
const frameLimitMs = 5000

/** Whoever wants a current picture gets no kept one that is older. */
const currentMs = 1000

export type PictureDeskOptions = {
  readonly onAnswer: (answer: PictureReport) => void
  /** Why no frame comes just now, in words. */
  readonly explainNoFrame: () => string
}

/** A copy of a frame, which may be with several jobs at once. */
type Shot = Pick<NumberedFrame, 'id' | 'capturedAtMs' | 'geometry' | 'data'> & { readonly keptMs: number }
type Job = { readonly request: PictureRequest; readonly shot: Shot }
type Waiting = { readonly request: PictureRequest; readonly timer: NodeJS.Timeout }

/**
 * Answers requests for pictures, each exactly once: of the newest frame with a result, if such frames are kept, else of
 * the next frame that the model is through with or that is left out. It copies what it shows (450 KB at 640x480, well under
 * a millisecond), so that frames go round as if it were not there.
 */
export class PictureDesk {
  readonly #options: PictureDeskOptions
  readonly #waiting: Waiting[] = []
  readonly #jobs: Job[] = []
  #encoding: Job | undefined
  #keeps = false
  #kept: Shot | undefined
  #isClosed = false

  constructor(options: PictureDeskOptions) {
    this.#options = options
  }

  /** Whether frames are kept before anybody asks; those that are not needed any more go at once. */
  keep(keeps: boolean): void {
    this.#keeps = keeps
    if (!keeps) this.#kept = undefined
  }

  ask(request: PictureRequest): void {
    const shot = this.#find(request.frameId)
    if (this.#isClosed) this.#refuse(request, 'the vision process stops')
    else if (this.#waiting.length + this.#jobs.length >= maxWaiting)
      this.#refuse(request, `${maxWaiting} other pictures have to be made first`)
    else if (shot !== undefined) this.#enqueue([{ request, shot }])
    else this.#waitForFrame(request)
  }

  #waitForFrame(request: PictureRequest): void {
    const giveUp = () => {
      this.#waiting.splice(this.#waiting.indexOf(waiting), 1)
      this.#refuse(request, `no frame for ${frameLimitMs / 1000} s: ${this.#options.explainNoFrame()}`)
    }
    const waiting = { request, timer: setTimeout(giveUp, frameLimitMs) }
    this.#waiting.push(waiting)
  }

  /** Looks at a frame that is about to be given away. */
  note(frame: NumberedFrame, fate: 'inferred' | 'left out'): void {
    const isKept = this.#keeps && fate === 'inferred'
    if (!isKept && this.#waiting.length === 0) return
    const shot = copyOf(frame, isKept ? this.#unusedBuffer() : undefined)
    if (isKept) this.#kept = shot
    const waiting = this.#waiting.splice(0)
    for (const { timer } of waiting) clearTimeout(timer)
    this.#enqueue(waiting.map(({ request }) => ({ request, shot })))
  }

  /** Refuses whoever waits, and whoever comes. */
  close(): void {
    this.#isClosed = true
    for (const { request, timer } of this.#waiting.splice(0)) {
      clearTimeout(timer)
      this.#refuse(request, 'the vision process stops')
    }
    for (const { request } of this.#jobs.splice(0)) this.#refuse(request, 'the vision process stops')
  }

  #find(frameId: number | null): Shot | undefined {
    if (frameId === null) {
      const isCurrent = this.#kept !== undefined && performance.now() - this.#kept.keptMs <= currentMs
      return isCurrent ? this.#kept : undefined
    }
    const jobs = this.#encoding === undefined ? this.#jobs : [this.#encoding, ...this.#jobs]
    return jobs.find(({ shot }) => shot.id === frameId)?.shot ?? this.#kept
  }

  /** The buffer of the frame kept so far, unless a job needs it. */
  #unusedBuffer(): Shot['data'] | undefined {
    const kept = this.#kept
    const isNeeded = kept === this.#encoding?.shot || this.#jobs.some(({ shot }) => shot === kept)
    return isNeeded ? undefined : kept?.data
  }

  #enqueue(jobs: readonly Job[]): void {
    this.#jobs.push(...jobs)
    // It answers for every failure itself.
    if (this.#encoding === undefined) void this.#work()
  }

  async #work(): Promise<void> {
    for (;;) {
      this.#encoding = this.#jobs.shift()
      if (this.#encoding === undefined) return
      this.#options.onAnswer(await answerTo(this.#encoding))
    }
  }

  #refuse({ requestId }: PictureRequest, reason: string): void {
    this.#options.onAnswer(refusal(requestId, reason))
  }
}

function copyOf({ id, capturedAtMs, geometry, data }: NumberedFrame, buffer: Shot['data'] | undefined): Shot {
  const bytes = frameBytes(geometry)
  const copy = buffer?.length === bytes ? buffer : new Uint8Array(bytes)
  copy.set(data.subarray(0, bytes))
  return { id, capturedAtMs, geometry, data: copy, keptMs: performance.now() }
}

function refusal(requestId: number, reason: string): PictureReport {
  return { type: 'picture', requestId, jpeg: null, reason, frame: null }
}

async function answerTo({ request, shot }: Job): Promise<PictureReport> {
  const { requestId, maxBytes, quality } = request
  const { id, capturedAtMs, geometry } = shot
  const { width, height } = geometry
  try {
    const jpeg = await encodeJpeg(shot, { maxBytes, quality })
    if (jpeg === undefined)
      return refusal(requestId, `no JPEG of a frame of ${width}x${height} fits into ${maxBytes} bytes`)
    const frame = { id, width, height, capturedAtMs }
    return { type: 'picture', requestId, jpeg: jpeg.toString('base64'), reason: null, frame }
  } catch (error) {
    return refusal(requestId, `the JPEG can't be made: ${describeError(error)}`)
  }
}
