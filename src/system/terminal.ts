/** What is used of a terminal's stream. */
type Screen = { write(text: string): unknown; readonly columns?: number | undefined }

/** A terminal with lines that scroll by and one status line that stays below them. */
export class Terminal {
  readonly #stream: Screen
  #status = ''

  constructor(stream: Screen) {
    this.#stream = stream
  }

  line(text: string): void {
    this.#stream.write(`${clearLine}${text}\n${this.#fitted()}`)
  }

  status(text: string): void {
    this.#status = text
    this.#stream.write(`${clearLine}${this.#fitted()}`)
  }

  /** Leaves the cursor on a line of its own. */
  [Symbol.dispose](): void {
    this.#stream.write(clearLine)
    this.#status = ''
  }

  #fitted(): string {
    return this.#status.slice(0, (this.#stream.columns || 80) - 1)
  }
}

/** Carriage return, erase to the end of the line (ECMA-48 EL). */
const clearLine = '\r\x1b[K'
