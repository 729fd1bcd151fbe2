#!/bin/bash
# The first process of the node, in namespaces of its own for processes, mounts, network, IPC and host name. Whatever ends it,
# the kernel then ends every process in them and removes their mounts, links and firewall rules.
# Arguments: the node's folder, its host name.
set -euo pipefail
node=$1
name=$2

# Short paths inside, whatever the path outside; a few of them are fixed in the kubelet and in containerd.
mount --bind "$node" /mnt
for place in /run /tmp /var/lib /var/log; do mount -t tmpfs -o mode=755 node "$place"; done
chmod 1777 /tmp
mkdir -p /mnt/log/pods /var/log/pods /mnt/run
mount --bind /mnt/log/pods /var/log/pods
for place in cni containerd etcd kubelet volumes; do
  mkdir -p "/mnt/data/$place" "/var/lib/$place"
  mount --bind "/mnt/data/$place" "/var/lib/$place"
done

# The kubelet insists on setting these, which hold for the whole machine: it gets copies to write to.
for setting in kernel/panic kernel/panic_on_oops kernel/keys/root_maxbytes kernel/keys/root_maxkeys \
  vm/overcommit_memory vm/panic_on_oom; do
  copy=/run/${setting//\//-}
  cat "/proc/sys/$setting" >"$copy"
  mount --bind "$copy" "/proc/sys/$setting"
done

mount --make-rshared /
hostname "$name"
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables

touch /mnt/run/prepared
until [ -e /mnt/run/connected ]; do sleep 0.05; done

# As an init system would: what ends is started again.
keep() {
  while :; do
    "/mnt/config/start/$1" >>"/mnt/log/$1.log" 2>&1 &
    echo $! >"/mnt/run/$1.pid"
    wait $! || echo "$1 ended with $?; it is started again" >>"/mnt/log/$1.log"
    sleep 0.5
  done
}
for part in $(ls /mnt/config/start); do keep "$part" & done
wait
