export type Arch = 'arm64' | 'amd64'

/** What npm and Node call them. */
export const nodeArchs: Readonly<Record<Arch, string>> = { arm64: 'arm64', amd64: 'x64' }

export const maintainer = 'sightd maintainers <maintainers@sightd.example>'

/**
 * The lowest versions that the binaries within ask for (`readelf -V`; a test holds this against it). GLIBCXX_3.4.22 came
 * with libstdc++ 6; libgcc-s1 is its name since Debian 11 and Ubuntu 20.04.
 */
export const needs = { glibc: '2.28', libstdcxx: '6' }

/** DEBIAN/control of deb-control(5). */
export function controlFile(arch: Arch, version: string, installedKiB: number): string {
  return `Package: sightd
Version: ${version}
Architecture: ${arch}
Maintainer: ${maintainer}
Installed-Size: ${installedKiB}
Depends: libc6 (>= ${needs.glibc}), libgcc-s1, libstdc++6 (>= ${needs.libstdcxx}), systemd | systemd-standalone-sysusers | systemd-sysusers
Recommends: rpicam-apps-core | rpicam-apps-lite | rpicam-apps
Suggests: ffmpeg, mosquitto
Section: video
Priority: optional
Description: edge vision daemon: camera to MQTT
 Watches a camera, runs a quantized MobileNet on the CPU, and tells an MQTT
 broker what it sees. Made for Raspberry Pi-class boards and to run for years
 unattended; Home Assistant finds it by itself.
 .
 Everything that it needs comes along: Node, ONNX Runtime and a model of 80
 kinds of things. A Raspberry Pi camera needs rpicam-apps, a USB or network
 camera ffmpeg.
`
}
