import * as v from 'valibot'
import type { Command } from '../program.ts'

/** What commander's own file lends, so that it stays the only one. */
type Tools = {
  readonly does: <Args extends unknown[]>(
    command: (...args: Args) => Promise<number>,
  ) => (...args: Args) => Promise<void>
  readonly wholeNumber: (text: string) => number
  readonly allowedBy: (schema: v.GenericSchema<string, string>) => (text: string) => string
  readonly withBroker: (command: Command) => Command
}

const overview = `
A repository is plain files (The Update Framework, TUF) for any web server, bucket or USB stick; it can't be changed without
the keys. Five roles sign it:
  root       which keys the others have; several keys, offline
  targets    which models are approved; offline
  deploy     which group of devices runs which of them; online
  snapshot   which versions belong together; online
  timestamp  that all of it is still so, for a few days; online

From nothing to a model on a tenth of the devices:
  sightd ota init                                    keys/ and repository/ in this folder
  sightd ota add models/cats/2                       every check that a device makes, then it is approved
  sightd ota promote cats/2 --group porch --percent 10
  sightd ota audit                                   what would a new device find?
  sightd ota refresh                                 daily, by a timer: the timestamp lasts 7 days
And back:
  sightd ota rollback --group porch

Passphrases come from --passphrase-file, else SIGHTD_OTA_PASSPHRASE, else the terminal.
Exit codes: 0 done, 1 failed or audit found something, 2 wrong usage, 78 a secret file that others can read.`

const keyHelp = `
rotate: a new key takes the place of the old one, which signs along once more, so that every device can follow.
revoke: somebody else may have it. It loses all its roles; where the threshold asks for it a new key comes.
KEY is a role that has one key, a key's name (root-2), or the first 8 or more digits of its id.

Examples:
  sightd ota key new root-1                 on the offline machine; bring keys/root-1.pub.json to the others' keys/
  sightd ota key revoke deploy              the online machine was broken into
  sightd ota key rotate root-2 --unsigned root.json    root keys are elsewhere: ota sign there, ota import here`

const unsignedHelp = `
Where the key is kept elsewhere:
  --unsigned FILE writes what is to be signed; sightd ota sign FILE --key KEY.pem there; sightd ota import FILE here.`

const indexHelp = `
A device that has committed a model with rollback index N never again installs one with a lower index, whoever signs it:
raise it when older models must not run again. It is signed with the model and stays.`

const statusHelp = `
Trouble, and exit code 1: the newest update of a device was rolled back, refused or failed (unless by command), its metadata
has expired, or no device is there. What the broker keeps of a device that is offline tells of the past.

Examples:
  sightd ota status --group porch              has the rollout gone well?
  sightd ota status --follow                   the same, until Ctrl-C
  sightd ota status --json | jq '.devices[] | select(.troubles != [])'`

const hintHelp = `
Without it devices find out by themselves, at their next look (ota.poll_h). It carries no trust: who can publish it can have
devices look, no more. The message is retained, for devices that are away; --clear takes it away.`

/** `sightd ota`: the operator's side of model updates. */
export function addOtaCommands(
  ota: Command,
  { does, wholeNumber, allowedBy, withBroker }: Tools,
  signal: AbortSignal,
): void {
  const percent = (text: string) => Number(allowedBy(percentText)(text))
  const index = (text: string) => Number(allowedBy(indexText)(text))
  const from = (text: string) => Date.parse(allowedBy(timeText)(text))
  ota.description('approve models and roll them out to groups of devices').addHelpText('after', overview)

  writing(ota.command('init'))
    .description('make keys and an empty repository')
    .option('--root-keys <n>', 'how many root keys (default: 3)', wholeNumber)
    .option('--root-threshold <n>', 'how many of them have to sign (default: 2)', wholeNumber)
    .option('--days <role=n>', 'how long what a role signs lasts; once per role', (text: string, all: object = {}) => {
      const [role = '', count = ''] = allowedBy(daysText)(text).split('=')
      return { ...all, [role]: Number(count) }
    })
    .addHelpText(
      'after',
      '\nKeys that lie in the folder already (root-1, targets-1, …) are used. Default days: root 365, targets 180, deploy 30, snapshot 30, timestamp 7.',
    )
    .action(does(async (options) => (await import('./init.ts')).init(options, signal)))

  const key = ota.command('key').description('make, replace and list keys').addHelpText('after', keyHelp)
  common(withPassphrase(key.command('new')))
    .description('make a key in two files: NAME.pem, encrypted, and NAME.pub.json')
    .argument('<name>', 'such as root-1')
    .option('--dry-run', 'change nothing')
    .action(does(async (name, options) => (await import('./key.ts')).newKey(name, options, signal)))
  writing(key.command('rotate'))
    .description('put a new key in the place of one')
    .argument('<key>', 'role, name or id')
    .action(does(async (which, options) => (await import('./key.ts')).rotateKey(which, options, signal)))
  writing(key.command('revoke'))
    .description('take a key that someone else may have from all its roles')
    .argument('<key>', 'role, name or id')
    .action(does(async (which, options) => (await import('./key.ts')).revokeKey(which, options, signal)))
  common(key.command('list'))
    .description('list keys, their roles, and which private keys are here')
    .action(does(async (options) => (await import('./key.ts')).showKeys(options)))

  writing(ota.command('add'))
    .description('approve a model: scan it, run its golden samples, sign it')
    .argument('<model-dir>', 'model folder')
    .option('--rollback-index <n>', 'devices that have run it refuse models with a lower one (default: 0)', index)
    .addHelpText('after', indexHelp)
    .action(does(async (dir, options) => (await import('./models.ts')).addModel(dir, options, signal)))
  writing(ota.command('promote'))
    .description('say that a group should run an approved model')
    .argument('<model>', 'name/version')
    .requiredOption('-g, --group <name>', 'group of devices')
    .option('-p, --percent <n>', 'on how many of them, 0 to 100 (default: 100)', percent)
    .option('--from <time>', 'not before, as 2030-01-31T08:00:00Z (default: now)', from)
    .addHelpText('after', '\nThe same model again with a larger share: the devices that have it stay, others join.')
    .action(does(async (model, options) => (await import('./groups.ts')).promote(model, options, signal)))
  writing(ota.command('hold'))
    .description('stop a rollout: devices that have not begun wait')
    .requiredOption('-g, --group <name>', 'group of devices')
    .option('--release', 'let it go on')
    .action(does(async (options) => (await import('./groups.ts')).hold(options, signal)))
  writing(ota.command('rollback'))
    .description('send all devices of a group back to the model before')
    .requiredOption('-g, --group <name>', 'group of devices')
    .option('-p, --percent <n>', 'on how many of them (default: 100)', percent)
    .action(does(async (options) => (await import('./groups.ts')).rollback(options, signal)))
  writing(ota.command('revoke'))
    .description('approve a model no more; groups that should run it go back to the one before, or on hold')
    .argument('<model>', 'name/version')
    .action(does(async (model, options) => (await import('./models.ts')).revokeModel(model, options, signal)))
  writing(ota.command('refresh'))
    .description('sign the timestamp anew, and snapshot and deploy when half of their time is over')
    .argument('[role...]', 'roles to sign anew as well: root, targets, deploy')
    .action(does(async (roles, options) => (await import('./refresh.ts')).refresh(roles, options, signal)))

  withPassphrase(ota.command('sign'))
    .description('sign a file of --unsigned, on the machine that has the key; shows what it says')
    .argument('<file>', 'it is changed in place')
    .requiredOption('-k, --key <key.pem>', 'private key')
    .option('--dry-run', 'only show what would be signed')
    .option('--json', 'print JSON')
    .action(does(async (file, options) => (await import('./exchange.ts')).signFile(file, options, signal)))
  common(withPassphrase(ota.command('import')))
    .description('take a signed file into the repository it was made for')
    .argument('<file>', 'as sightd ota sign left it')
    .option('--dry-run', 'change nothing')
    .action(does(async (file, options) => (await import('./exchange.ts')).importFile(file, options, signal)))

  ota
    .command('serve')
    .description('serve the repository over HTTP until Ctrl-C')
    .option('--repo <dir>', 'repository folder (default: repository)')
    .option('--address <ip>', 'address to listen on (default: 127.0.0.1, this machine only)')
    .option('--port <n>', 'port, 0 for any that is free (default: 8000)', (text: string) =>
      Number(allowedBy(portText)(text)),
    )
    .option('--json', 'print JSON')
    .action(does(async (options) => (await import('./serve.ts')).serve(options, signal)))
  ota
    .command('audit')
    .description('walk a repository as a new device would, and look at every file')
    .argument('[source]', 'https://…, http://… or a folder (default: repository)')
    .option('--root <file>', "the root that devices have (default: the repository's own 1.root.json)")
    .option('--json', 'print JSON: source, roles, models, groups, targets, findings')
    .action(does(async (source, options) => (await import('./audit.ts')).audit(source, options, signal)))

  withBroker(ota.command('status').description('which device runs which model, and how its updates go'))
    .option('-g, --group <name>', 'only devices of this group')
    .option('--follow', 'go on until Ctrl-C')
    .option('--json', 'print JSON: broker, base, devices; with --follow, one object per change')
    .addHelpText('after', statusHelp)
    .action(does(async (options) => (await import('./status.ts')).status(options, signal)))
  withBroker(ota.command('hint').description('tell devices that the repository has something newer, so that they look'))
    .option('--repo <dir>', 'repository folder (default: repository)')
    .option('--clear', 'take the hint away')
    .option('--json', 'print JSON')
    .addHelpText('after', hintHelp)
    .action(does(async (options) => (await import('./hint.ts')).hint(options, signal)))
}

function common(command: Command): Command {
  return command
    .option('--repo <dir>', 'repository folder (default: repository)')
    .option('--keys <dir>', 'folder of keys (default: keys)')
    .option('--json', 'print JSON')
}

function withPassphrase(command: Command): Command {
  return command.option('--passphrase-file <file>', "file whose first line is the keys' passphrase; mode 0600")
}

/** Commands that sign. */
function writing(command: Command): Command {
  return withPassphrase(common(command))
    .option('--unsigned <file>', 'write what is to be signed elsewhere, and change nothing that devices see')
    .option('--dry-run', 'sign and check, but change nothing')
    .addHelpText('after', unsignedHelp)
}

const percentText = v.pipe(
  v.string(),
  v.check(
    (text) => /^\d{1,3}(\.\d{1,2})?$/.test(text) && Number(text) <= 100,
    'a number from 0 to 100, at most two decimal places',
  ),
)
const indexText = v.pipe(
  v.string(),
  v.check((text) => /^\d{1,10}$/.test(text) && Number(text) < 2 ** 31, 'a whole number from 0 to 2147483647'),
)
const portText = v.pipe(
  v.string(),
  v.check((text) => /^\d{1,5}$/.test(text) && Number(text) < 65_536, 'a port: 0 to 65535'),
)
const timeText = v.pipe(
  v.string(),
  v.check(
    (text) => /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text) && !Number.isNaN(Date.parse(text)),
    'a time in UTC: 2030-01-31T08:00:00Z',
  ),
)
const daysText = v.pipe(
  v.string(),
  v.regex(/^(root|targets|deploy|snapshot|timestamp)=[1-9]\d{0,2}$/, 'a role and days from 1 to 999: timestamp=14'),
)
