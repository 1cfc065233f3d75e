import { randomBytes } from 'node:crypto'
import { packageVersions } from '../lib/package.ts'
import { defaultDeviceId, readBoard } from './board.ts'

/** Who this is, on what, and which run of it: fields of the `info` topic. */
export async function identify(configuredId: string | undefined) {
  const board = await readBoard()
  const { own, ort } = packageVersions()
  return {
    v: 1 as const,
    id: configuredId ?? (await defaultDeviceId(board)),
    sw: own,
    node: process.versions.node,
    ort,
    os: board.os,
    arch: process.arch,
    board: board.model,
    serial: board.serial,
    boot: randomBytes(4).toString('hex'),
    started: new Date().toISOString(),
  }
}
