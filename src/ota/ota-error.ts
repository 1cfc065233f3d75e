/** Why something about an update was refused or could not be done, in words for an operator. */
const otaReasons = {
  malformed: 'it is not what it should look like',
  too_large: 'it is larger than allowed',
  unsigned: 'too few of the keys that may sign it have done so',
  rollback: 'it is older than what this device has seen already',
  version_mismatch: 'its version is not the one that was asked for',
  digest_mismatch: 'its length or digest is not the signed one',
  expired: 'its signed date of expiry has passed',
  missing: 'the repository does not have it',
  store_failed: 'it could not be stored on this device',
  incompatible: 'this sightd can not use it',
  revoked: 'it is not, or no longer, approved',
  downgrade: 'its rollback index is lower than that of a model that ran here',
  known_bad: 'it has failed on this device before',
} as const

export type OtaReason = keyof typeof otaReasons

/** What the repository or the disk did, never a defect of sightd. `what` names the file or target that it is about. */
export class OtaError extends Error {
  override readonly name = 'OtaError'
  readonly reason: OtaReason
  readonly what: string

  constructor(reason: OtaReason, what: string, details: string, options?: ErrorOptions) {
    super(`${what}: ${otaReasons[reason]}: ${details}`, options)
    this.reason = reason
    this.what = what
  }
}
