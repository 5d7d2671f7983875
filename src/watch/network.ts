import { realFileSystem, type FileSystem } from '../lib/file-system.js';
import { bytesToBuffer, textToBytes } from '../lib/text.js';

/** Types of file systems that other machines may share (statfs(2), linux/magic.h). FUSE: what is behind it cannot be told. */
const SHARED_TYPES = new Set([
  0x6969, // NFS
  0x517b, // SMB
  0xfe534d42, // SMB2
  0xff534d42, // CIFS
  0x01021997, // 9p
  0x65735546, // FUSE, virtiofs
  0x0bd00bd0, // Lustre
  0x47504653, // GPFS
  0x00c36400, // Ceph
  0x5346414f, // AFS
  0x6b414653, // kAFS
  0x73757245, // Coda
  0x01161970, // GFS2
  0x7461636f, // OCFS2
  0x19830326, // BeeGFS
  0xaad7aaea, // PanFS
  0x786f4256, // VirtualBox
]);

/** Whether other machines may work in this directory. @param directory absolute, text @throws the error of statfs */
export const isShared = (directory: string, fs: FileSystem = realFileSystem): boolean =>
  SHARED_TYPES.has(
    Number(BigInt.asUintN(32, BigInt(fs.statfsSync(bytesToBuffer(textToBytes(directory))).type))),
  );
