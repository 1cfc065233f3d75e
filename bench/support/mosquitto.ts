import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { tempFolder } from './temp-folder.ts'

/** Where a program is; Debian keeps mosquitto where ordinary users' PATH doesn't look. */
export function findProgram(name: string): string | undefined {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path))
}

/** Why Mosquitto can't be had; undefined when it can. */
export const lacksMosquitto = () =>
  findProgram('mosquitto') === undefined ? 'mosquitto is not installed (apt-get install mosquitto)' : undefined

/**
 * For measurements: by default Mosquitto leaves Nagle's algorithm on, and then a small message waits up to 40 ms for the
 * acknowledgement of the one before it, whoever sent it.
 */
export const promptSettings = 'allow_anonymous true\nset_tcp_nodelay true'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

/** A real Mosquitto on a loopback port; resolves when it listens. */
export async function launchMosquitto(
  port: number,
  settings = 'allow_anonymous true',
): Promise<AsyncDisposable & { readonly child: ChildProcessByStdio<null, null, Readable> }> {
  using cleanup = new DisposableStack()
  const folder = cleanup.use(tempFolder())
  const path = join(folder.path, 'mosquitto.conf')
  writeFileSync(path, `listener ${port} 127.0.0.1\n${settings}\n`)
  const child = spawn(findProgram('mosquitto') ?? 'mosquitto', ['-v', '-c', path], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = once(child, 'close')
  await listening(child)
  const owned = cleanup.move()
  return {
    child,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
      owned.dispose()
    },
  }
}

/** Resolves when a Mosquitto that logs to stderr listens; rejects with what it said when it ends before. */
export async function listening({ stderr }: { readonly stderr: Readable }): Promise<void> {
  const said: string[] = []
  for await (const line of createInterface(stderr)) {
    said.push(line)
    if (!/mosquitto version .* running/.test(line)) continue
    stderr.resume()
    return
  }
  throw new Error(`Mosquitto did not start: ${said.join('; ')}`)
}
