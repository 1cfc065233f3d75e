import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { writeFileAtomic } from '../lib/atomic-file.ts'

/** More than begin while a broker has not saved what it keeps. */
const maxBoots = 256

const bootsSchema = v.pipe(v.string(), v.parseJson(), v.array(v.string()))

export type Run = {
  readonly boot: string
  /** When it began, in ms since the epoch, by its own clock. */
  readonly startedMs: number
}

/** The runs of this device, so that what an earlier one has said is not taken for the word of another device with our id. */
export class OwnBoots {
  readonly #boots: ReadonlySet<string>
  readonly #run: Run
  readonly #areKept: boolean

  private constructor(boots: readonly string[], run: Run, areKept: boolean) {
    this.#boots = new Set(boots)
    this.#run = run
    this.#areKept = areKept
  }

  /** Adds this run to those that are kept in a folder. One that can't be used is no reason not to run. */
  static async open(folder: string, run: Run): Promise<OwnBoots> {
    const path = join(folder, 'boots.json')
    const before = v.safeParse(bootsSchema, await readFile(path, 'utf8').catch(() => '[]'))
    const boots = [...(before.success ? before.output : []), run.boot].slice(-maxBoots)
    const areKept = await writeFileAtomic(path, JSON.stringify(boots)).then(
      () => true,
      () => false,
    )
    return new OwnBoots(boots, run, areKept)
  }

  /** Where runs can't be kept, any that began before this one may be ours; a clock that was ahead shows there. */
  has({ boot, startedMs }: Run): boolean {
    return this.#boots.has(boot) || (!this.#areKept && startedMs <= this.#run.startedMs)
  }
}
