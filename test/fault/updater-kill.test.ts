import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import * as v from 'valibot'
import { expect, onTestFinished, test } from 'vitest'
import { smallModel } from '../support/small-model.ts'
import { modelVersions, writeSteps } from '../support/stepping-repository.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { type Facts, factsSchema, noFacts } from '../support/update-facts.ts'

const script = fileURLToPath(new URL('../support/killed-device.ts', import.meta.url))

const kills = 300
const devices = 4
/** So many lines one says at most before it is killed, about those of two updates: its own pace, on any machine. And so much later. */
const mostLines = 40
const longestMs = 30

const lineSchema = v.object({
  facts: v.optional(factsSchema),
  phase: v.optional(v.string()),
  problem: v.optional(v.string()),
})

test(`SIGKILL at ${kills} random moments of updates: always a whole model, no floor lower, nothing lost that was reported`, async () => {
  const folder = await tempFolder()
  const repository = join(folder, 'repository')
  // One is longer than what is synced at once.
  const models = modelVersions.map((version, i) => smallModel(version, [20_000, 200_000, 1_500_000][i]))
  const signed = await writeSteps(repository, models, 700)
  const factoryDir = join(folder, 'factory')
  for (const [name, bytes] of smallModel('0')) {
    await mkdir(dirname(join(factoryDir, name)), { recursive: true })
    await writeFile(join(factoryDir, name), bytes)
  }
  const phases = new Map<string, number>()
  const problems: string[] = []
  let committed = 0
  const device = async (name: string) => {
    const path = join(folder, name)
    await mkdir(path)
    let facts: Facts = noFacts
    const live = async ({ updates }: { readonly updates?: number }) => {
      const order = JSON.stringify({ path, repository, factoryDir, models: signed, facts, updates })
      const child = spawn(process.execPath, [script, order], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, NODE_COMPILE_CACHE: join(folder, 'cache') },
      })
      onTestFinished(() => {
        child.kill('SIGKILL')
      })
      let phase = 'start'
      let linesLeft = updates === undefined ? 1 + Math.floor(Math.random() * mostLines) : Number.POSITIVE_INFINITY
      const lines = createInterface(child.stdout)
      lines.on('line', (text) => {
        const line = v.parse(lineSchema, JSON.parse(text))
        phase = line.phase ?? phase
        if (--linesLeft === 0) setTimeout(() => child.kill('SIGKILL'), Math.random() * longestMs)
        if (line.problem !== undefined) problems.push(line.problem)
        if (line.facts === undefined) return
        if (line.facts.settled !== facts.settled) committed++
        facts = line.facts
      })
      const [code, signal] = await once(child, 'close')
      if (updates === undefined) phases.set(phase, (phases.get(phase) ?? 0) + 1)
      const due = updates === undefined ? 'SIGKILL' : 0
      if ((signal ?? code) !== due) problems.push(`it ended with ${signal ?? code} in ${phase}`)
    }
    // One that comes to its end leaves its compiled code to those that don't.
    await live({ updates: 1 })
    for (let kill = 0; kill < kills / devices && problems.length === 0; kill++) await live({})
    await live({ updates: 3 })
  }
  await Promise.all(Array.from({ length: devices }, (_, i) => device(`device-${i}`)))
  const where = [...phases].map(([phase, times]) => `${times} in ${phase}`).join(', ')
  console.info(`${kills} kills: ${where}; ${committed} updates came through`)
  expect(problems).toEqual([])
  expect(committed).toBeGreaterThan(devices * 3)
}, 400_000)
