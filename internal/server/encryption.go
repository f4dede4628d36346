package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path"
	"strings"

	"github.com/weirmq/weir/internal/atrest"
	"github.com/weirmq/weir/internal/record"
	"github.com/weirmq/weir/internal/seglog/sealed"
	"github.com/weirmq/weir/internal/vfs"
)

// EncryptionConfig is how what is stored is encrypted.
type EncryptionConfig struct {
	Key      string // empty: it is not
	Previous string // the key before; empty: there is none
	Cipher   atrest.Cipher
	cost     atrest.Cost // of making a key of Key; zero: the usual one
}

// Files with the store keys, in the data directory. The second one is a copy, for
// without them nothing can be read.
const (
	keyFile     = "keys"
	keyFileCopy = "keys.copy"
)

// keyStore is the key file of a data directory.
type keyStore struct {
	fs  vfs.FS
	dir string
	log *slog.Logger
}

// open gives the store keys; nil where nothing is encrypted. It makes them at the
// first use, and wraps them anew where the configured key was the previous one.
// With a wrong key, or without one, nothing is touched.
func (k *keyStore) open(c EncryptionConfig) (*atrest.Keyring, error) {
	main, merr := k.read(keyFile)
	spare, serr := k.read(keyFileCopy)
	if errors.Is(merr, fs.ErrNotExist) && errors.Is(serr, fs.ErrNotExist) {
		if c.Key == "" {
			return nil, nil
		}
		return k.create(c)
	}
	if merr != nil && serr != nil {
		return nil, fmt.Errorf("read the key file %s and its copy: %w", path.Join(k.dir, keyFile), errors.Join(merr, serr))
	}
	if c.Key == "" {
		return nil, fmt.Errorf("the data in %s is encrypted and no key is configured: set jetstream { key }; nothing was changed", k.dir)
	}
	keys, file, err := atrest.OpenKeyring(main, c.Key, c.Previous, c.Cipher)
	now := main
	if merr != nil || errors.Is(err, atrest.ErrDamaged) {
		k.log.Error("key file cannot be read: its copy is used", "file", path.Join(k.dir, keyFile), "error", errors.Join(merr, err))
		keys, file, err = atrest.OpenKeyring(spare, c.Key, c.Previous, c.Cipher)
		now = spare
	}
	if errors.Is(err, atrest.ErrWrongKey) {
		return nil, fmt.Errorf("open the data in %s: %w: set jetstream { key } to that key or, to change it, prev_encryption_key to it and key to the new one; nothing was changed", k.dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path.Join(k.dir, keyFile), errors.Join(err, merr, serr))
	}
	if file != nil {
		now = file
	}
	if err := k.keep(now, main, spare); err != nil {
		return nil, err
	}
	if file != nil {
		k.log.Info("encryption key was changed", "dir", k.dir)
	}
	return keys, nil
}

// openKeys opens the store keys. Files that are created through s.o.FS from then on
// are encrypted, if there are any.
func (s *storage) openKeys() error {
	s.disk = s.o.FS
	k := keyStore{fs: s.disk, dir: s.o.Dir, log: s.log}
	var err error
	if s.keys, err = k.open(s.o.Encryption); err != nil {
		return err
	}
	s.o.FS = sealed.New(s.disk, s.keys)
	return nil
}

// compress says how what is written to a stream from now on is compressed.
func (s *storage) compress(id record.Identity, how string) {
	s.mu.Lock()
	g := s.groups[id.ID]
	s.mu.Unlock()
	if g == nil || g.log == nil {
		return // not open yet, or in memory
	}
	c, err := atrest.ParseCompression(how)
	if err != nil {
		s.log.Error("stream is not compressed", "stream", g.spec.Name, "account", g.spec.Account, "error", err)
	}
	g.log.SetCompression(c)
}

// create makes the first store key.
func (k *keyStore) create(c EncryptionConfig) (*atrest.Keyring, error) {
	// Encrypted files without a key file: it was lost, and must come back.
	for _, name := range []string{CatalogFile, CatalogCopy} {
		b, err := k.read(name)
		if err != nil || !atrest.IsPages(b) {
			continue
		}
		return nil, fmt.Errorf("the data in %s is encrypted, but its key file %s is missing: put it back; nothing was changed", k.dir, keyFile)
	}
	keys, file, err := atrest.NewKeyring(c.Key, c.Cipher, c.cost)
	if err != nil {
		return nil, err
	}
	k.log.Info("what is stored from now on is encrypted: keep a copy of the key and of the key file", "file", path.Join(k.dir, keyFile))
	return keys, k.keep(file, nil, nil)
}

// keep makes both files hold what is in force. The copy never outlives a change of
// the key.
func (k *keyStore) keep(now, main, spare []byte) error {
	if !bytes.Equal(now, main) {
		if err := writeFile(k.fs, path.Join(k.dir, keyFile), now); err != nil {
			return fmt.Errorf("write the key file: %w", err)
		}
	}
	if !bytes.Equal(now, spare) {
		if err := writeFile(k.fs, path.Join(k.dir, keyFileCopy), now); err != nil {
			return fmt.Errorf("write the copy of the key file: %w", err)
		}
	}
	return nil
}

func (k *keyStore) read(name string) ([]byte, error) {
	return vfs.ReadFile(k.fs, path.Join(k.dir, name))
}

// encryptionKeys are the keys about encryption in a jetstream block.
var encryptionKeys = block{
	{names: "key ek encryption_key", set: func(c *Config, v value) { c.JetStream.Encryption.Key = v.str() }},
	{names: "prev_key prev_ek prev_encryption_key", set: func(c *Config, v value) { c.JetStream.Encryption.Previous = v.str() }},
	{names: "key_file", set: func(c *Config, v value) { c.JetStream.Encryption.Key = v.secret() }},
	{names: "prev_key_file", set: func(c *Config, v value) { c.JetStream.Encryption.Previous = v.secret() }},
	{names: "cipher", set: func(c *Config, v value) {
		var err error
		if c.JetStream.Encryption.Cipher, err = atrest.ParseCipher(v.str()); err != nil {
			v.fail("%v", err)
		}
	}},
	{names: "compression", set: func(c *Config, v value) {
		var err error
		if c.JetStream.Compression, err = atrest.ParseCompression(v.str()); err != nil {
			v.fail("%v", err)
		}
	}},
}

// mostSecret bounds the length of a key in a file.
const mostSecret = 64 << 10

// secret is the content of a file, without the end of its line.
func (v value) secret() string {
	f, err := os.Open(v.str())
	if err != nil {
		v.fail("cannot be read: %v", err)
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Mode().Perm()&0o077 != 0 {
		v.warning("%s can be read by other users", v.str())
	}
	b, err := io.ReadAll(io.LimitReader(f, mostSecret))
	if err != nil {
		v.fail("cannot be read: %v", err)
		return ""
	}
	key := strings.TrimRight(string(b), "\r\n")
	if key == "" {
		v.fail("%s holds no key", v.str())
	}
	return key
}

// checkEncryption checks the keys of a jetstream block together.
func checkEncryption(c *Config, v value) {
	switch e := &c.JetStream.Encryption; {
	case e.Key == "" && e.Previous != "":
		v.fail("there is a previous key, but no key: what is stored would not be encrypted")
	case e.Key == "" && e.Cipher != atrest.Clear:
		v.fail("there is a cipher, but no key: what is stored would not be encrypted")
	case e.Key != "" && e.Cipher == atrest.Clear:
		e.Cipher = atrest.DefaultCipher()
	}
}
