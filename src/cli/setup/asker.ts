import { createInterface } from 'node:readline/promises'
import { describeError, SightdError } from '../../core/errors.ts'
import { readHiddenLine } from '../hidden-line.ts'

/** Whoever was asked gave up: Ctrl-C, Ctrl-D, or a signal. */
export class Stopped extends Error {
  override readonly name = 'Stopped'
}

/** Asks whoever sits at the terminal, on stderr: what is printed on stdout may go elsewhere. */
export class Asker {
  readonly #signal: AbortSignal
  /** Whether anything was asked. */
  hasAsked = false

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  static get isPossible(): boolean {
    return process.stdin.isTTY && process.stderr.isTTY
  }

  say(text: string): void {
    process.stderr.write(`${text}\n`)
  }

  /** One line, made into something by `take`; asked again while that throws a SightdError. Nothing typed means `usual`. */
  async line<T>(question: string, usual: string, take: (answer: string) => T | Promise<T>): Promise<T> {
    for (;;) {
      const typed = await this.#read(`${question}${usual === '' ? '' : ` [${usual}]`}: `)
      try {
        return await take(typed === '' ? usual : typed)
      } catch (error) {
        if (!(error instanceof SightdError)) throw error
        this.say(`  ${describeError(error)}`)
      }
    }
  }

  /** One line that is not shown. */
  async hidden(question: string): Promise<string> {
    this.hasAsked = true
    const typed = await readHiddenLine(`${question}: `, this.#signal)
    if (typed === undefined) throw new Stopped()
    return typed
  }

  async yes(question: string, usual: boolean): Promise<boolean> {
    return this.line(`${question} (y/n)`, usual ? 'y' : 'n', (answer) => {
      if (/^y(es)?$/i.test(answer)) return true
      if (/^no?$/i.test(answer)) return false
      throw new SightdError('config_invalid', 'y or n')
    })
  }

  async #read(prompt: string): Promise<string> {
    this.hasAsked = true
    const gone = new AbortController()
    const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: true, historySize: 0 })
    // In its own mode of the terminal Ctrl-C and Ctrl-D are keys, which it tells so.
    lines.once('SIGINT', () => gone.abort())
    lines.once('close', () => gone.abort())
    try {
      return (await lines.question(prompt, { signal: AbortSignal.any([this.#signal, gone.signal]) })).trim()
    } catch (error) {
      if (!gone.signal.aborted && !this.#signal.aborted) throw error
      this.say('')
      throw new Stopped()
    } finally {
      lines.close()
    }
  }
}
