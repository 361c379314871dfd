// The way from the host to the API server. The launcher opens a listening
// socket on the host's loopback and hands it down as descriptor 3; this
// process lives in the cluster's network namespace and dials there. So the
// host gets no link, address, route or rule, only one loopback port, and the
// kernel splices the bytes between the two namespaces.
package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gateway HOST:PORT  (listening socket on descriptor 3)")
		os.Exit(2)
	}
	listener, err := net.FileListener(os.NewFile(3, "listener"))
	if err != nil {
		fmt.Fprintln(os.Stderr, "descriptor 3 is no listening socket:", err)
		os.Exit(1)
	}
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "accept:", err)
			continue
		}
		go join(conn.(*net.TCPConn), os.Args[1])
	}
}

// join copies both ways and passes each side's end-of-stream on, so that half-closed
// streams (exec, attach) end as they would without a gateway.
func join(client *net.TCPConn, target string) {
	defer client.Close()
	dialed, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	server := dialed.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Add(2)
	go pour(&both, server, client)
	go pour(&both, client, server)
	both.Wait()
}

func pour(done *sync.WaitGroup, to, from *net.TCPConn) {
	defer done.Done()
	if _, err := io.Copy(to, from); err != nil {
		// A reset on one side must not leave the other waiting.
		to.Close()
		from.Close()
		return
	}
	to.CloseWrite()
}
