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

  # Credentials of the machine are not to be had through the server.
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
    python3 -c "import urllib.request as u; u.urlretrieve('$url/amazon-ssm-agent.deb', 'a.deb')"
    dpkg -i a.deb
    systemctl enable --now amazon-ssm-agent
  END

  # A newer image is no reason to make the machine anew.
  lifecycle {
    ignore_changes = [ami, user_data]
  }
}
