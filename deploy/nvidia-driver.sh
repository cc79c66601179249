#!/usr/bin/env bash
# Installs NVIDIA's GRID driver, as Microsoft hands it out for NVadsA10_v5: the only one that these machines take. Ends
# at once where a driver works. Not run yet on such a machine.
# From https://learn.microsoft.com/azure/virtual-machines/linux/n-series-driver-setup (page of 2025-12-01: vGPU 18.5,
# R570, public regions). Microsoft wants the newest there, or the one before: look there, and change it here.
set -euo pipefail

url=${GRID_DRIVER:-https://download.microsoft.com/download/0541e1a5-dff2-4b8c-a79c-96a7664b1d49/NVIDIA-Linux-x86_64-570.195.03-grid-azure.run}

if nvidia-smi >/dev/null 2>&1; then
  echo "nvidia-driver.sh: there is a driver that works"
  exit 0
fi
if ! lspci | grep -qi nvidia; then
  echo "nvidia-driver.sh: this machine shows no NVIDIA GPU; is vmSize one that has one?" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
sudo cloud-init status --wait >/dev/null || true # which holds apt's lock after a first start
sudo apt-get update -q
sudo apt-get install -qy build-essential "linux-headers-$(uname -r)" curl
printf 'blacklist nouveau\nblacklist lbm-nouveau\n' | sudo tee /etc/modprobe.d/nouveau.conf >/dev/null
sudo modprobe -r nouveau 2>/dev/null || true
installer=$(mktemp --suffix=.run)
trap 'rm -f "$installer"' EXIT
curl --fail --silent --show-error --location --retry 5 --output "$installer" "$url"
sudo sh "$installer" --silent --dkms 2>/dev/null || sudo sh "$installer" --silent
if [ -e /etc/nvidia/gridd.conf.template ]; then
  sed '/^FeatureType=0/d' /etc/nvidia/gridd.conf.template | sudo tee /etc/nvidia/gridd.conf >/dev/null
  printf 'IgnoreSP=FALSE\nEnableUI=FALSE\n' | sudo tee -a /etc/nvidia/gridd.conf >/dev/null
fi
nvidia-smi
