import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'

/** Loaded before a program (`--import`): its process is killed just before the n-th file gets its name, `KILL_AT_RENAME`. */

const { rename } = fs
const killAt = Number(process.env['KILL_AT_RENAME'])
let renames = 0

fs.rename = async (...paths) => {
  if (++renames === killAt) process.kill(process.pid, 'SIGKILL')
  return rename(...paths)
}
syncBuiltinESMExports()
