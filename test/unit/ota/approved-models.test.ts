import { expect, test } from 'vitest'
import { approve, approvedModels, indexesAbove, modelCustomOf } from '../../../src/ota/approved-models.ts'
import type { TargetsDocument } from '../../../src/ota/documents.ts'

const sha256 = 'ab'.repeat(32)
const named = { name: 'cats', version: '2', sha256 }
const empty: TargetsDocument = { _type: 'targets', spec_version: '1.0.31', version: 1, expires: '', targets: {} }

/** `targets` with models of these versions and rollback indexes. */
function approving(indexes: Readonly<Record<string, number>>): TargetsDocument {
  let targets = empty
  for (const [version, rollbackIndex] of Object.entries(indexes)) targets = withModel(targets, version, rollbackIndex)
  return targets
}

function withModel(targets: TargetsDocument, version: string, rollbackIndex: number): TargetsDocument {
  const files = [{ name: 'manifest.json', bytes: Buffer.from(version) }]
  const approved = approve(targets, { name: 'cats', version, networkSha256: sha256, rollbackIndex, files })
  return approved?.targets ?? targets
}

const customIn = (targets: TargetsDocument, version: string) =>
  targets.targets[`models/cats/${version}/manifest.json`]?.custom

test('what is signed with a manifest is read as it was written; an index of 0 is left out', () => {
  const targets = approving({ '1': 0, '2': 7, '3': 2 ** 31 - 1 })
  expect(customIn(targets, '1')).toEqual({ ...named, version: '1' })
  expect(customIn(targets, '2')).toEqual({ ...named, rollback_index: 7 })
  expect(modelCustomOf(customIn(targets, '1'))).toEqual({ ...named, version: '1', rollbackIndex: 0 })
  expect(modelCustomOf(customIn(targets, '2'))).toEqual({ ...named, rollbackIndex: 7 })
  expect(approvedModels(targets).map(({ rollbackIndex }) => rollbackIndex)).toEqual([0, 7, 2 ** 31 - 1])
})

test('fields of a later sightd do no harm', () => {
  expect(modelCustomOf({ ...named, rollback_index: 0, more: {} })).toEqual({ ...named, rollbackIndex: 0 })
})

test.each([
  ['nothing', undefined],
  ['a text', 'cats'],
  ['no name', { version: '2', sha256 }],
  ['a name that climbs', { ...named, name: '..' }],
  ['a version of two parts', { ...named, version: '2/3' }],
  ['half a digest', { ...named, sha256: 'ab' }],
  ['an index below 0', { ...named, rollback_index: -1 }],
  ['an index of 2^31', { ...named, rollback_index: 2 ** 31 }],
  ['half an index', { ...named, rollback_index: 1.5 }],
  ['an index as a text', { ...named, rollback_index: '1' }],
  ['null for an index', { ...named, rollback_index: null }],
])('%s is not well-formed', (_, custom) => {
  expect(modelCustomOf(custom)).toBeUndefined()
})

test('an approved model keeps its index', () => {
  const targets = approving({ '2': 7 })
  expect(withModel(targets, '2', 7)).toBe(targets)
  expect(() => withModel(targets, '2', 8)).toThrow('cats/2 is approved with rollback index 7, not 8')
})

test('models whose devices refuse another one are those with a higher index', () => {
  const targets = approving({ '1': 0, '2': 2, '3': 2, '4': 5 })
  const above = (version: string, others: readonly string[]) =>
    indexesAbove(
      targets,
      `models/cats/${version}`,
      others.map((other) => `models/cats/${other}`),
    ).map(({ folder }) => folder.slice(-1))
  expect(above('2', ['1', '3', '4'])).toEqual(['4'])
  expect(above('1', ['4', '2', '9'])).toEqual(['4', '2'])
  expect(above('4', ['1', '2', '3'])).toEqual([])
})
