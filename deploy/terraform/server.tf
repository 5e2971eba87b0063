data "aws_ami" "debian" {
  most_recent = true
  owners      = ["136693071363"] # Debian

  filter {
    name   = "name"
    values = ["debian-12-amd64-*"]
  }

  filter {
    name   = "virtualization-type"
    values = ["hvm"]
  }
}

resource "aws_instance" "server" {
  ami                    = data.aws_ami.debian.id
  instance_type          = var.instance_type
  subnet_id              = local.subnet_id
  vpc_security_group_ids = [aws_security_group.server.id]
  iam_instance_profile   = aws_iam_instance_profile.server.name
  tags                   = { Name = "tornado-webrtc-${var.environment}" }

  # For the first minutes: what user_data fetches, it fetches before there is the fixed address
  # (aws_eip), which takes the place of this one.
  associate_public_ip_address = true

  # The machine's credentials want a token first, which is asked for with PUT over TCP: nothing
  # that the server relays or serves can do that. Programs on the machine can; a container can
  # with the host's network, and not with one of its own, which is one hop further.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }

  root_block_device {
    encrypted   = true
    volume_type = "gp3"
    volume_size = 16
  }

  # Debian's image has no agent of Systems Manager; nothing else can reach the machine.
  user_data = <<-END
    #!/bin/sh
    set -eu
    url=https://s3.${var.region}.amazonaws.com/amazon-ssm-${var.region}/latest/debian_amd64
    cd "$(mktemp -d)"
    fetch="import urllib.request as u; u.urlretrieve('$url/amazon-ssm-agent.deb', 'a.deb')"
    until python3 -c "$fetch"; do sleep 5; done
    # The first boot's own upgrades may hold the lock.
    for attempt in $(seq 120); do
      dpkg -i a.deb && break
      sleep 5
    done
    systemctl enable --now amazon-ssm-agent
  END

  # The secret, the certificate and the configuration are on the machine: nothing makes it anew
  # by the way. A newer image, a first subnet that sorts before the one it is in, an address that
  # a stopped machine does not show: all that is no reason. Who wants another machine, or none,
  # takes prevent_destroy out.
  lifecycle {
    ignore_changes  = [ami, associate_public_ip_address, subnet_id, user_data]
    prevent_destroy = true
  }
}
