import type { ChildProcess } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { createInterface } from 'node:readline'

const waitLimitMs = 60_000

/** What a program that goes on says, line by line. */
export class Following<T> {
  readonly seen: T[] = []
  readonly #news = new EventEmitter()

  constructor(program: ChildProcess, parse: (line: string) => T) {
    if (program.stdout === null) throw new Error('it has to be heard')
    createInterface(program.stdout).on('line', (line) => {
      this.seen.push(parse(line))
      this.#news.emit('line')
    })
  }

  /** The first that fits, from the item `from` on; throws when it takes too long. */
  async next(fits: (item: T) => boolean, from = 0): Promise<T> {
    const signal = AbortSignal.timeout(waitLimitMs)
    for (let at = from; ; ) {
      const item = this.seen[at]
      if (item === undefined) {
        await once(this.#news, 'line', { signal }).catch((error: unknown) => {
          const last = this.seen.slice(-20).map((each) => JSON.stringify(each))
          throw new Error(`nothing that fits ${fits} in time; the last was\n${last.join('\n')}`, { cause: error })
        })
        continue
      }
      if (fits(item)) return item
      at++
    }
  }
}
