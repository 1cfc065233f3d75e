import type { Delegation, Targets } from './metadata.ts'

/** Whom a role trusts for a path, in its order (specification 5.6.7.2), and whether no one else is to be asked. */
export function delegationsFor(
  { delegations }: Targets,
  path: string,
): { readonly delegations: readonly Delegation[]; readonly isFinal: boolean } {
  const fitting = delegations.filter(({ paths }) => paths.some((pattern) => isPathInPattern(path, pattern)))
  const last = fitting.findIndex(({ terminating }) => terminating)
  return last === -1
    ? { delegations: fitting, isFinal: false }
    : { delegations: fitting.slice(0, last + 1), isFinal: true }
}

/**
 * Whether a path fits a pattern: part by part between slashes, `*` for any characters and `?` for one (specification 4.5,
 * PATHPATTERN). A pattern with the brackets, braces or backslashes of some shells fits nothing, since they disagree on them.
 */
export function isPathInPattern(path: string, pattern: string): boolean {
  const parts = path.split('/')
  const patterns = pattern.split('/')
  if (parts.length !== patterns.length || /[[\]{}()\\!+@|]/.test(pattern)) return false
  return patterns.every((part, i) => fits(parts[i] ?? '', part))
}

/** Goes back to the last `*` only: at most one pass over the name per character of the pattern. */
function fits(name: string, pattern: string): boolean {
  let at = 0
  let starAt = -1
  let nameAtStar = 0
  for (let i = 0; i < name.length; ) {
    if (pattern[at] === '*') {
      starAt = at++
      nameAtStar = i
    } else if (at < pattern.length && (pattern[at] === '?' || pattern[at] === name[i])) {
      at++
      i++
    } else if (starAt >= 0) {
      at = starAt + 1
      i = ++nameAtStar
    } else {
      return false
    }
  }
  return /^\**$/.test(pattern.slice(at))
}
