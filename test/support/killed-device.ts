import { readdirSync, readFileSync, writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import * as v from 'valibot'
import { DirectoryTransport } from '../../src/ota/directory-transport.ts'
import type { Transport } from '../../src/ota/transport.ts'
import { firstStep, group, offeredAt } from './stepping-repository.ts'
import { factsSchema } from './update-facts.ts'
import { Life } from './update-life.ts'

/**
 * A process that goes from model to model as fast as it can, and is killed: an Updater on a real folder, with a repository in
 * another. Its argument is JSON, see `orderSchema`. Prints a line of JSON for each new fact, phase and problem, and `{}` when
 * it begins.
 */
export const orderSchema = v.object({
  /** Holds `ota/`. */
  path: v.string(),
  /** As writeSteps makes it. */
  repository: v.string(),
  factoryDir: v.string(),
  models: v.array(v.object({ version: v.string(), sha256: v.string(), rollbackIndex: v.number() })),
  facts: factsSchema,
  /** It ends by itself after so many updates. */
  updates: v.optional(v.number(), Number.POSITIVE_INFINITY),
})

const say = (line: object) => writeSync(1, `${JSON.stringify(line)}\n`)

const { path, repository, factoryDir, models, facts, updates } = v.parse(orderSchema, JSON.parse(process.argv[2] ?? ''))

function peek(file: string): Buffer | undefined {
  try {
    return readFileSync(file)
  } catch {
    return undefined
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

let step = firstStep
const folder = new DirectoryTransport(repository)
const transport: Transport = {
  where: folder.where,
  metadata: (name, maxBytes, signal) =>
    folder.metadata(name === 'metadata/timestamp.json' ? `timestamps/${step}.json` : name, maxBytes, signal),
  openTarget: (request, signal) => folder.openTarget(request, signal),
}

say({})
let told = ''
const life = await Life.start({
  disk: { path, peek, names },
  fleet: { root: readFileSync(`${repository}/metadata/1.root.json`), factoryDir, group, models },
  transport,
  bootId: 'a',
  facts,
  tick: () => delay(1),
  quietTicks: 20,
  onFacts: (seen) => {
    const line = JSON.stringify(seen)
    if (line !== told) say({ facts: seen })
    told = line
  },
  onPhase: (phase) => say({ phase }),
})
step = Math.max(firstStep, life.stored.metadata[1] ?? 0)
for (let left = updates; left > 0; ) {
  if (life.problems.length > 0) break
  await life.look()
  if (life.updater.status.reason?.includes('retry_update')) await life.retry()
  if (life.serving !== offeredAt(step)) continue
  step++
  left--
}
for (const problem of life.problems) say({ problem })
await life.end()
