import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { tempFolder } from './temp-folder.ts'

/** Where a program is; Debian keeps mosquitto where ordinary users' PATH doesn't look. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A real Mosquitto on a loopback port, ended with the test; resolves when it listens. */
export async function startMosquitto(port: number, settings = 'allow_anonymous true'): Promise<ChildProcess> {
  const path = join(await tempFolder(), 'mosquitto.conf')
  await writeFile(path, `listener ${port} 127.0.0.1\n${settings}\n`)
  const broker = spawn(findProgram('mosquitto') ?? 'mosquitto', ['-v', '-c', path], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  onTestFinished(() => {
    broker.kill('SIGKILL')
  })
  const lines = createInterface(broker.stderr)
  for await (const line of lines) if (/mosquitto version .* running/.test(line)) break
  lines.close()
  broker.stderr.resume()
  return broker
}
