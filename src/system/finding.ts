/** What a check of `sightd doctor` found. `advice` is what to do about it; null when there is nothing to do. */
export type Finding = {
  readonly check: string
  readonly status: FindingStatus
  readonly found: string
  readonly advice: string | null
}

export type FindingStatus = 'ok' | 'warning' | 'problem'

export function ok(check: string, found: string): Finding {
  return { check, status: 'ok', found, advice: null }
}

export function warning(check: string, found: string, advice: string): Finding {
  return { check, status: 'warning', found, advice }
}

export function problem(check: string, found: string, advice: string): Finding {
  return { check, status: 'problem', found, advice }
}

/** The gravest status among findings. */
export function gravest(findings: readonly Finding[]): FindingStatus {
  const has = (status: FindingStatus) => findings.some((finding) => finding.status === status)
  return has('problem') ? 'problem' : has('warning') ? 'warning' : 'ok'
}
