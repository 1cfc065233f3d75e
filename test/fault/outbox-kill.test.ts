import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

const script = fileURLToPath(new URL('../support/spooling-device.ts', import.meta.url))
const kills = 200

/** The records of one segment, at about 490 bytes each on the disk, and what was in flight: docs/mqtt-topics.md. */
const duplicatesPerKill = Math.ceil((256 * 1024) / 450) + 20

describe.skipIf(findProgram('mosquitto') === undefined)(
  'the outbox with a real Mosquitto (skipped where it is not installed)',
  () => {
    test(`SIGKILL at ${kills} random moments of storing and replaying: nothing lost that was reported as stored`, async () => {
      const folder = join(await tempFolder(), 'spool')
      const port = await freePort()
      await startMosquitto(port, 'allow_anonymous true\nmax_queued_messages 0')
      const subscriber = await subscribe(port)
      const nowhere = await freePort()
      const reported: { run: string; first: number; stored: number }[] = []
      const start = (run: string, at: number, rate: number) => {
        const child = spawn(process.execPath, [script, folder, `${at}`, run, `${rate}`], {
          stdio: ['ignore', 'pipe', 'inherit'],
        })
        onTestFinished(() => {
          child.kill('SIGKILL')
        })
        return { child, lines: createInterface(child.stdout) }
      }
      for (let kill = 0; kill < kills; kill++) {
        const run = `run-${kill}`
        // Three of four can reach the broker, and so replay what the fourth has stored.
        const { child, lines } = start(run, kill % 4 === 0 ? nowhere : port, 2000)
        const report = { run, first: Number.NaN, stored: 0 }
        reported.push(report)
        lines.on('line', (line) => {
          const [word, seq] = line.split(' ')
          if (word === 'first') report.first = Number(seq)
          if (word === 'stored') report.stored = Number(seq)
        })
        await once(lines, 'line')
        setTimeout(() => child.kill('SIGKILL'), Math.random() * 300)
        await once(child, 'close')
      }
      const { child, lines } = start('last', port, 0)
      const said: string[] = []
      lines.on('line', (line) => said.push(line))
      const [code] = await once(child, 'close')
      expect([code, said.at(-1)]).toEqual([0, 'empty'])
      await subscriber.fence()

      const arrived = subscriber.received
        .filter(({ topic }) => topic.endsWith('/event'))
        .map(({ text }) => JSON.parse(text))
        .map(({ event_id, seq }) => `${event_id} ${seq}`)
      const seen = new Set(arrived)
      expect(reported.every(({ first }) => first > 0)).toBe(true)
      const promised = reported.flatMap(({ run, first, stored }) =>
        Array.from({ length: Math.max(0, stored - first + 1) }, (_, i) => `${run} ${first + i}`),
      )
      console.info(
        `${promised.length} reported as stored, ${seen.size} arrived, ${arrived.length - seen.size} of them again`,
      )
      // Enough to be lost; how many there are is the machine's pace.
      expect(promised.length).toBeGreaterThan(1000)
      expect(promised.filter((event) => !seen.has(event))).toEqual([])
      expect(arrived.length - seen.size).toBeLessThanOrEqual(kills * duplicatesPerKill)
    }, 400_000)
  },
)
