import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ModelStore } from '../../src/ota/model-store.ts'
import { openTransport, type Transport } from '../../src/ota/transport.ts'
import { type Look, UpdateSource, type UpdateSourceOptions, type WantedModel } from '../../src/ota/update-source.ts'
import { never } from './downloads.ts'
import { tempFolder } from './temp-folder.ts'
import type { UpdateRepository } from './update-repository.ts'

/** A device that asks a repository. */
export class AskingDevice {
  readonly store: ModelStore
  readonly percents: number[] = []
  source: UpdateSource
  readonly #options: UpdateSourceOptions

  private constructor(options: UpdateSourceOptions) {
    this.#options = options
    this.store = options.store
    this.source = new UpdateSource(options)
  }

  static async start(
    root: string | Uint8Array,
    sources: readonly (string | Transport)[],
    options: Partial<UpdateSourceOptions> = {},
  ): Promise<AskingDevice> {
    return new AskingDevice({
      store: await ModelStore.open(join(await tempFolder(), 'ota')),
      root: typeof root === 'string' ? await readFile(root) : root,
      transports: sources.map((source) => (typeof source === 'string' ? openTransport(source) : source)),
      group: 'porch',
      deviceId: 'device',
      maxModelBytes: 1_000_000,
      floorMs: () => 0,
      reserveBytes: 0,
      ...options,
    })
  }

  static async of(
    repository: UpdateRepository,
    options: Partial<UpdateSourceOptions> & { readonly sources?: readonly (string | Transport)[] } = {},
  ): Promise<AskingDevice> {
    const { sources = [repository.repo], ...rest } = options
    return AskingDevice.start(repository.rootPath, sources, rest)
  }

  /** A process, and nothing but what is on the disk. */
  restart(): void {
    this.source = new UpdateSource(this.#options)
  }

  look(): Promise<Look> {
    return this.source.look(never)
  }

  /** A look that finds something to run. */
  async wanted(): Promise<WantedModel> {
    const found = await this.look()
    if (found.wanted === undefined) throw new Error(`nothing is wanted: ${JSON.stringify(found)}`)
    return found.wanted
  }

  /** A look, and all that it finds. */
  async fetch(): Promise<WantedModel> {
    const wanted = await this.wanted()
    await this.source.fetch(wanted, never, (percent) => this.percents.push(percent))
    return wanted
  }
}
