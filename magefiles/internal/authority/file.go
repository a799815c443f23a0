package authority

import (
	"bytes"
	"context"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/gofrs/flock"

	"kindgate/magefiles/internal/atomicfile"
	"kindgate/magefiles/internal/shipped"
)

// The files in the authority's folder: its key with its certificate, and the certificate alone, which clients are told of.
const (
	keyFile         = "authority-key.pem"
	certificateFile = "authority.pem"
	lockFile        = "authority.lock"

	certificateType, keyType = "CERTIFICATE", "PRIVATE KEY"
)

// A FileError is why the authority in a folder cannot be used. What is in the folder was left as it is.
type FileError struct {
	Path string
	// Why says what is wrong, and Remedy what to do. Neither has anything of what is in the file.
	Why, Remedy string
	err         error
}

// Error says which file it is, and what is wrong with it.
func (e *FileError) Error() string { return e.Path + ": " + e.Why }

// Unwrap returns the system's error; nil where the content is wrong.
func (e *FileError) Unwrap() error { return e.err }

// anew says how to get another authority in the place of one.
var anew = "To have another authority: " + shipped.Command("untrust") + ", delete the file, and run again."

// Path is the file in a folder that has the authority's certificate and nothing else.
func Path(dir string) string { return filepath.Join(dir, certificateFile) }

// Open returns the authority in a folder, and makes it where there is none: then made is true, and its certificate names owner. Of two runs at once
// one makes it. The error is a *FileError, the end of ctx, or that no key can be made.
func Open(ctx context.Context, dir, owner string, now time.Time) (a *Authority, made bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, false, unusable(dir, err)
	}
	if err := checkOwner(dir); err != nil {
		return nil, false, err
	}
	if a, err = read(dir, now); err != nil || a != nil {
		return a, false, err
	}
	lock := flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600))
	if _, err := lock.TryLockContext(ctx, 10*time.Millisecond); err != nil {
		return nil, false, unusable(lock.Path(), err)
	}
	defer lock.Close()
	if a, err = read(dir, now); err != nil || a != nil { // that the other run has made
		return a, false, err
	}
	if a, err = New(owner, now); err != nil {
		return nil, false, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return nil, false, err
	}
	path := filepath.Join(dir, keyFile)
	content := append(a.PEM(), pem.EncodeToMemory(&pem.Block{Type: keyType, Bytes: secret})...)
	if err := atomicfile.Write(path, content, 0o600); err != nil {
		return nil, false, unusable(path, err)
	}
	return a, true, a.publish(dir)
}

// PEM is the authority's certificate.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: certificateType, Bytes: a.Certificate.Raw})
}

// read returns the authority in a folder, nil where there is none, and sees to the file with its certificate alone.
func read(dir string, now time.Time) (*Authority, error) {
	a, err := Find(dir, now)
	if err != nil || a == nil {
		return nil, err
	}
	return a, a.publish(dir)
}

// publish writes the certificate into a file of its own, unless it is there.
func (a *Authority) publish(dir string) error {
	path := Path(dir)
	have, err := atomicfile.ReadIfThere(path)
	switch {
	case err != nil:
		return unusable(path, err)
	case len(have) == 0:
		if err := atomicfile.Write(path, a.PEM(), 0o644); err != nil {
			return unusable(path, err)
		}
	case !bytes.Equal(have, a.PEM()):
		return &FileError{Path: path, Why: "it is not the certificate of the authority beside it", Remedy: "Move it away: the next run writes it anew."}
	}
	return nil
}

// Find returns the authority in a folder, nil where there is none, and changes nothing. The error is a *FileError.
func Find(dir string, now time.Time) (*Authority, error) {
	path := filepath.Join(dir, keyFile)
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, unusable(path, err)
	}
	if err := checkOwner(path); err != nil {
		return nil, err
	}
	if private && info.Mode().Perm()&0o077 != 0 {
		return nil, &FileError{Path: path, Why: fmt.Sprintf("others may read the authority's key (its mode is %04o)", info.Mode().Perm()),
			Remedy: "If nobody has: chmod 600 " + path + ". " + anew}
	}
	content, err := atomicfile.Read(path)
	if err != nil {
		return nil, unusable(path, err)
	}
	pair, err := tls.X509KeyPair(content, content)
	if err != nil || !pair.Leaf.IsCA {
		return nil, &FileError{Path: path, Why: "it is damaged: it is not an authority's certificate and its key", Remedy: anew}
	}
	switch c := pair.Leaf; {
	case !limited(c):
		return nil, &FileError{Path: path, Why: "it is another authority than kindgate makes: it may sign names that somebody owns",
			Remedy: "Move it away: the next run makes one of its own."}
	case now.Before(c.NotBefore):
		return nil, &FileError{Path: path, Why: "the authority is not valid before " + c.NotBefore.UTC().Format(time.RFC3339), Remedy: "Is this machine's clock right?"}
	case now.After(c.NotAfter):
		return nil, &FileError{Path: path, Why: "the authority was valid until " + c.NotAfter.UTC().Format(time.RFC3339), Remedy: anew}
	}
	return &Authority{pair.Leaf, pair.PrivateKey.(crypto.Signer)}, nil
}

// Published returns the authority of which a folder has the certificate alone, as it was told to clients; nil for none, and for one that is not
// limited as kindgate's are. It can sign nothing. It is what is known of an authority whose key is gone or cannot be used.
func Published(dir string) *Authority {
	content, err := atomicfile.Read(Path(dir))
	if err != nil {
		return nil
	}
	block, rest := pem.Decode(content)
	if block == nil || len(rest) > 0 {
		return nil
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil || !limited(certificate) {
		return nil
	}
	return &Authority{Certificate: certificate}
}

// limited tells whether a certificate is of an authority that can sign nothing but names under Domains, as New makes them.
func limited(c *x509.Certificate) bool {
	return c.IsCA && c.PermittedDNSDomainsCritical && slices.Equal(c.PermittedDNSDomains, Domains) && len(c.ExcludedIPRanges) == 2
}

func checkOwner(path string) error {
	if owner, ours := ownerOf(path); !ours {
		return &FileError{Path: path, Why: "it belongs to the user " + owner,
			Remedy: "Run as that user, or with a HOME of your own."}
	}
	return nil
}

// unusable is the error of a file or folder that the system refuses.
func unusable(path string, err error) error {
	var atPath *fs.PathError
	why := err
	if errors.As(err, &atPath) {
		path, why = atPath.Path, atPath.Err
	}
	return &FileError{Path: path, Why: why.Error(),
		Remedy: "The authority is kept in the user's configuration directory. A Secret of your own in manifests/, under the name that the listener has, does without it.", err: err}
}
