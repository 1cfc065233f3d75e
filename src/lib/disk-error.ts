import { describeError } from '../core/errors.ts'

const words = new Map([
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', 'the quota is used up'],
  ['EFBIG', 'the limit on file size is reached'],
  ['EROFS', 'the file system is read-only'],
  ['EACCES', 'no permission'],
  ['EPERM', 'not permitted'],
  ['EIO', 'the disk fails'],
  ['ENOENT', 'the folder is missing'],
  ['ENOTDIR', 'there is something else in place of the folder'],
  ['EEXIST', 'there is something else in place of the folder or a file'],
  ['EMFILE', 'too many files are open'],
])

/** The code of a system error: `ENOSPC`. */
export function errorCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** `the disk is full (ENOSPC: no space left on device, write)`. */
export function describeDiskError(error: unknown): string {
  const known = words.get(errorCode(error) ?? '')
  return known === undefined ? describeError(error) : `${known} (${describeError(error)})`
}

/** True when it says nothing about the file: this process or the machine was short of something for the moment. */
export function isShortage(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN'].includes(errorCode(error) ?? '')
}

/** True when the same may work another time: a shortage, or a medium that fails now and then. */
export function mayPass(error: unknown): boolean {
  return isShortage(error) || ['EIO', 'ESTALE', 'ETIMEDOUT'].includes(errorCode(error) ?? '')
}
