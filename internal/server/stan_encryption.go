package server

import (
	"errors"
	"os"

	"github.com/weirmq/weir/internal/atrest"
)

// stanKeyEnv is where users of the old streaming server have the key for what is stored.
// It holds over what a file or a flag says.
const stanKeyEnv = "NATS_STREAMING_ENCRYPTION_KEY"

// setCipher reads the name of a cipher; an empty one is the default.
func (s *StanConfig) setCipher(name string) error {
	s.Cipher = atrest.Clear
	if name == "" {
		return nil
	}
	var err error
	s.Cipher, err = atrest.ParseCipher(name)
	return err
}

// encrypts says whether streaming's settings ask for encryption: a cipher alone does not.
func (s *StanConfig) encrypts() bool { return s.Enabled && (s.Encrypt || s.EncryptionKey != "") }

// settleStanEncryption has everything that is stored encrypted where the streaming server
// is to be, unless the jetstream block has a key already.
func (c *Config) settleStanEncryption() {
	s, e := &c.Stan, &c.JetStream.Encryption
	if !s.encrypts() {
		return
	}
	if key := os.Getenv(stanKeyEnv); key != "" {
		s.EncryptionKey = key
	}
	if e.Key != "" || s.EncryptionKey == "" {
		return
	}
	e.Key, e.Cipher = s.EncryptionKey, s.Cipher
	if e.Cipher == atrest.Clear {
		e.Cipher = atrest.DefaultCipher()
	}
}

// checkStanEncryption refuses settings that would store something in the clear, or under
// another key, than is wanted.
func (c *Config) checkStanEncryption() error {
	s, e := &c.Stan, &c.JetStream.Encryption
	switch {
	case !s.encrypts():
		return nil
	case e.Key == "":
		return errors.New("encryption key required: " + stanKeyEnv + ", encryption_key or jetstream { key } has it")
	case s.EncryptionKey != "" && s.EncryptionKey != e.Key:
		return errors.New("encryption_key is not jetstream { key }: all that is stored is encrypted with one key")
	}
	return nil
}
