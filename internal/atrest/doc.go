// Package atrest turns bytes into what the file layer keeps of them: compressed,
// encrypted, or as they are. It does no I/O; journal, segments and small files
// call it with their bytes and write what it gives. docs/encryption.md says what
// of a data directory is encrypted.
//
// Keys. The configured text never encrypts data. scrypt makes a wrapping key of
// it, with a salt that lies beside; the wrapping key encrypts random store keys;
// a store key, a random salt and a purpose make the key of one file by HKDF.
// Only the key file knows of the configured text, so that a new one re-wraps a
// few hundred bytes, at once and atomically, and no file's data ever depends on
// a rewritten head of its own. Each change of the text adds a store key for what
// is written from then on: who knows the old text and has an old copy of the key
// file reads nothing newer.
//
// Nonces. A file's key belongs to one Sealer: it draws the salt, lives in one
// process and is never copied. Each sealing takes the next number of the Sealer's
// counter, which is its nonce. So no nonce comes twice under a key: a block that
// is written again after a failure, or differently after a restart, has another
// number or another salt, and so has a journal file in its next life, for which a
// new Sealer is made. Salt and number are kept with the bytes they belong to:
// nothing that was lost is needed to read the rest.
//
// What is sealed is bound to where it belongs by additional data: bytes that are
// moved to another place, file or stream do not open. Every byte is also under a
// CRC-32C where it can be read without a key, so that damage is told from a key
// that is wrong or not there.
//
// Decoders take any bytes, and give an error or at most as many bytes as a block
// may have. No goroutine and no lock. A Keyring never changes; a Sealer and an
// Opener are used by one goroutine at a time. Journal, seglog and assembly call it.
package atrest
