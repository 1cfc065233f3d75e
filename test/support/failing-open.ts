import fs from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { onTestFinished } from 'vitest'

type Rule = { readonly ending: string; readonly code: string; times: number }

const rules = new Set<Rule>()
const { open } = fs

/**
 * From now on files whose path ends so can't be opened so many times, for a reason such as `EIO` or `EMFILE`, as a disk goes
 * bad or a process has too many files open; until the test is over, or the function that it gives is called.
 */
export function failOpening(ending: string, code: string, times = Number.POSITIVE_INFINITY): () => void {
  const rule = { ending, code, times }
  rules.add(rule)
  const heal = () => {
    rules.delete(rule)
  }
  onTestFinished(heal)
  fs.open = async (path, ...rest) => {
    const broken = [...rules].find(({ ending, times }) => String(path).endsWith(ending) && times > 0)
    if (broken === undefined) return open(path, ...rest)
    broken.times--
    throw Object.assign(new Error(`${broken.code}: it is so for a test`), { code: broken.code })
  }
  syncBuiltinESMExports()
  return heal
}
