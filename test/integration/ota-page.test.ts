import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { packageRoot } from '../../src/lib/package.ts'
import { findProgram } from '../support/mosquitto.ts'
import { tempFolder } from '../support/temp-folder.ts'

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

test.skipIf(findProgram('curl') === undefined)(
  'every command line of docs/ota.md works, one after the other, in an empty folder',
  { timeout: 120_000 },
  async () => {
    const page = await readFile(join(packageRoot, 'docs/ota.md'), 'utf8')
    const lines = [...page.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) => block.trim().split('\n'))
    expect(lines.filter((line) => line.startsWith('sightd ota ')).length).toBeGreaterThan(20)
    const folder = await tempFolder()
    await mkdir(join(folder, 'bin'))
    await symlink(join(packageRoot, 'bin/sightd'), join(folder, 'bin/sightd'))
    await mkdir(join(folder, 'work'))
    const script = join(folder, 'page.sh')
    const text = lines.join('\n').replaceAll('8000', String(await freePort()))
    await writeFile(script, `set -euo pipefail\ntrap 'echo "this line failed: $BASH_COMMAND" >&2' ERR\n${text}\n`)
    const child = spawn('bash', [script], {
      cwd: join(folder, 'work'),
      env: { PATH: `${join(folder, 'bin')}:${process.env['PATH']}` },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    })
    onTestFinished(() => {
      // The server too, should the page end before it ends that.
      if (child.pid !== undefined && child.exitCode !== 0) process.kill(-child.pid, 'SIGKILL')
    })
    let said = ''
    child.stdout.on('data', (bytes) => (said += bytes))
    child.stderr.on('data', (bytes) => (said += bytes))
    const [code] = await once(child, 'close')
    expect(code, said).toBe(0)
    expect(said.match(/a new device would take all of it/g)).toHaveLength(4)
    expect(said).toContain('back from ssdlite-mobilenet-v2-coco/2 to ssdlite-mobilenet-v2-coco/1')
  },
)
