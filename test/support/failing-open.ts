import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { onTestFinished } from 'vitest'

/**
 * From now on files whose path ends so can't be opened so many times, for a reason such as `EIO` or `EMFILE`, as a disk goes
 * bad or a process has too many files open; until the test is over, or the function that it gives is called.
 */
export function failOpening(ending: string, code: string, times = Number.POSITIVE_INFINITY): () => void {
  let failures = 0
  const { open } = fs
  const heal = () => {
    fs.open = open
    syncBuiltinESMExports()
  }
  onTestFinished(heal)
  fs.open = async (path, ...rest) => {
    if (String(path).endsWith(ending) && failures++ < times)
      throw Object.assign(new Error(`${code}: it is so for a test`), { code })
    return open(path, ...rest)
  }
  syncBuiltinESMExports()
  return heal
}
