package server

import (
	"errors"
	"io/fs"
	"log/slog"
	"syscall"
	"testing"

	"github.com/weirmq/weir/internal/vfs/faultfs"
)

// Where the catalog is gone and its copy cannot be read, both reasons are told: the
// second is what can be mended.
func TestWhyTheCopyOfTheCatalogCannotBeReadIsTold(t *testing.T) {
	disk := faultfs.New()
	disk.Inject(faultfs.OnName(CatalogCopy, faultfs.FailFrom(faultfs.Open, 1, syscall.EIO)))
	c := defaultConfig()
	c.JetStream.StoreDir = "data"
	c.settle()
	_, err := buildOn(disk, c, slog.New(slog.DiscardHandler))
	if !errors.Is(err, syscall.EIO) || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opening gives %v", err)
	}
}
