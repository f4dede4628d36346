package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"time"

	"github.com/weirmq/weir/internal/account"
	"github.com/weirmq/weir/internal/broker"
	"github.com/weirmq/weir/internal/journal"
	"github.com/weirmq/weir/internal/vfs"
)

// OfflineOptions are for OpenOffline. FS and Dir must be given.
type OfflineOptions struct {
	FS  vfs.FS
	Dir string
	// Lock is the lock on the directory, if it is held; Close gives it back. nil: it is
	// taken.
	Lock io.Closer
	// OnDamage is told of damage of the journal; with nil as its answer what is left is
	// used. nil: a damaged journal is refused.
	OnDamage func(*journal.DamageError) error
	// OnLost is told which sequences of which stream are in no file any more.
	OnLost func(id, first, last uint64)
	Log    *slog.Logger // nil: nothing is logged

	Encryption EncryptionConfig
}

// Offline is a data directory with its streams and without doors: nobody is let
// in, but requests of this process are answered.
type Offline struct{ rooms *rooms }

// OpenOffline opens a data directory as a server does.
func OpenOffline(o OfflineOptions) (*Offline, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := defaultConfig()
	c.JetStream.StoreDir = o.Dir
	c.settle()
	r, err := newRooms(c, o.Log)
	if err != nil {
		return nil, err
	}
	if err := r.openStreams(c, storageOptions{
		FS: o.FS, Dir: o.Dir, Sync: journal.Always, Log: o.Log, ScrubInterval: time.Hour, Lock: o.Lock, OnDamage: o.OnDamage, OnLost: o.OnLost,
		Encryption: o.Encryption,
	}); err != nil {
		return nil, errors.Join(err, r.close(context.Background()))
	}
	r.start(context.Background())
	return &Offline{r}, nil
}

// Space is the subjects of the account that everybody is in who has none.
func (o *Offline) Space() *broker.Space { return o.rooms.spaces.Get(account.Global) }

// Close checkpoints everything and gives the directory back.
func (o *Offline) Close() error { return o.rooms.close(context.Background()) }
