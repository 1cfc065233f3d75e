import type { PictureReport } from '../core/vision-protocol.ts'

/** A JPEG of a frame, which may be larger than it; or why there is none, in words. */
export type Picture =
  | { readonly jpeg: Buffer; readonly frame: NonNullable<PictureReport['frame']> }
  | { readonly reason: string }

/** The vision process itself gives up after 5 s without a frame; this is for one that hangs. */
const limitMs = 8000

/** Requests for pictures that the vision process has not answered yet. Each ends: answered, late, or with the process. */
export class PictureRequests {
  readonly #open = new Map<number, (picture: Picture) => void>()
  #lastId = 0

  /** `send` takes the request's id. */
  open(send: (requestId: number) => void): Promise<Picture> {
    const requestId = ++this.#lastId
    const { promise, resolve } = Promise.withResolvers<Picture>()
    const timer = setTimeout(
      () => this.#settle(requestId, { reason: `the vision process gave no picture within ${limitMs / 1000} s` }),
      limitMs,
    )
    this.#open.set(requestId, (picture) => {
      clearTimeout(timer)
      resolve(picture)
    })
    send(requestId)
    return promise
  }

  answer({ requestId, jpeg, reason, frame }: PictureReport): void {
    const picture =
      jpeg === null || frame === null
        ? { reason: reason ?? 'the vision process gave no picture' }
        : { jpeg: Buffer.from(jpeg, 'base64'), frame }
    this.#settle(requestId, picture)
  }

  endAll(reason: string): void {
    for (const requestId of [...this.#open.keys()]) this.#settle(requestId, { reason })
  }

  /** A late answer finds nobody. */
  #settle(requestId: number, picture: Picture): void {
    this.#open.get(requestId)?.(picture)
    this.#open.delete(requestId)
  }
}
