import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, constants, openSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { runSightd } from '../support/daemon.ts'
import { tempFolder } from '../support/temp-folder.ts'

const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** More than a start takes, and the second that it waits for what can't be called off. */
const lateMs = 3000

/** What sightd writes into a pipe that nobody reads while it could end. */
async function readLate(args: readonly string[]): Promise<{ output: string; code: number }> {
  const fifo = join(await tempFolder(), 'output')
  await promisify(execFile)('mkfifo', [fifo])
  const fd = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK)
  const into = openSync(fifo, 'w')
  const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', into, into] })
  closeSync(into)
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const exited = once(child, 'exit')
  const isOver = await Promise.race([
    exited.then(() => true),
    once(AbortSignal.timeout(lateMs), 'abort').then(() => false),
  ])
  const output = await text(new Socket({ fd, writable: false }))
  expect(isOver, 'ended before it was read').toBe(false)
  const [code] = await exited
  return { output, code }
}

describe('what is printed into a pipe that is read late arrives whole', () => {
  test('on standard output', async () => {
    const labels = Array.from({ length: 2400 }, (_, i) => `    no_label_of_any_model_${i}: {}\n`).join('')
    const config = join(await tempFolder(), 'config.yaml')
    await writeFile(config, `camera: { source: synthetic }\nevents:\n  labels:\n${labels}`)
    const { output, code } = await readLate(['config', 'check', config])
    expect(output.length).toBeGreaterThan(200_000)
    expect({ stdout: output, stderr: '', code }).toEqual(await runSightd(['config', 'check', config]))
  })

  test('on standard error', async () => {
    const path = 'x'.repeat(110_000)
    const { output, code } = await readLate(['config', 'check', path])
    expect(output.length).toBeGreaterThan(200_000)
    expect({ stdout: '', stderr: output, code }).toEqual(await runSightd(['config', 'check', path]))
  })
})
