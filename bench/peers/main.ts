import { Yardstick } from '../measurement.ts'
import { lacksMosquitto } from '../support/mosquitto.ts'
import { groups } from './contenders.ts'
import { type Performance, type PerformOptions, perform } from './perform.ts'
import { describeGroup, type Row } from './table.ts'

/** Once it is fast, the camera gives so many times what the bare network could take, but no more than any camera of sightd's. */
const headroom = 1.5
const fastestCamera = 120

/** Everyone in turn, alone on the machine; whoever lacks something is skipped with the reason. */
export async function comparePeers(
  options: Omit<PerformOptions, 'fastRate'>,
): Promise<{ readonly text: string; readonly json: object }> {
  const tables = []
  for (const { title, model, contenders } of groups) {
    const rows: Row[] = []
    const skips = contenders.map(({ lacks }) => lacksMosquitto() ?? lacks())
    const bareMs = skips[0] === undefined ? await bareRunMs(model, options.threads) : null
    for (const [i, contender] of contenders.entries()) {
      const skipped = skips[0] ?? skips[i]
      const fastRate = Math.min(fastestCamera, Math.ceil((headroom * 1000) / (bareMs ?? 1)))
      const performance: Performance | null =
        skipped === undefined ? await perform(contender, { ...options, fastRate }) : null
      rows.push({ name: contender.name, skipped: skipped ?? null, performance })
    }
    tables.push({ title, bareMs, rows })
  }
  return { text: tables.map(describeGroup).join('\n'), json: { groups: tables } }
}

/** Median of 50 runs after 20 to warm up. */
async function bareRunMs(model: string, threads: number): Promise<number> {
  await using yardstick = await Yardstick.open(threads, model)
  await yardstick.medianMs(20)
  return await yardstick.medianMs(50)
}
