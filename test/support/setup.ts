import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram, freePort, startMosquitto } from './mosquitto.ts'
import { tempFolder } from './temp-folder.ts'

/** A Mosquitto that wants the password `secret` of the user `porch`; with `tls`, settings for its port. */
export async function startGuardedBroker(tls = ''): Promise<{ port: number; url: string }> {
  const port = await freePort()
  const passwords = join(await tempFolder(), 'passwords')
  await writeFile(passwords, '')
  await promisify(execFile)(findProgram('mosquitto_passwd') ?? '', ['-b', passwords, 'porch', 'secret'])
  await startMosquitto(port, `allow_anonymous false\nuser root\npassword_file ${passwords}\n${tls}`)
  return { port, url: `${tls === '' ? 'mqtt' : 'mqtts'}://127.0.0.1:${port}` }
}

/** A file with a secret that only its owner can read. */
export async function secretFile(text: string): Promise<string> {
  const path = join(await tempFolder(), 'secret')
  await writeFile(path, `${text}\n`, { mode: 0o600 })
  return path
}
