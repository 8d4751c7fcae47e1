# A Redmine of its own for the tests: makes its database, fills it, tells the keys, and serves.
#
# ruby redmine_server.rb PORT KEYS_FILE, with REDMINE_INSTANCE as Debian's Redmine reads it.
port, keys_file = ARGV
# Bundler lets only the gems of Redmine's own Gemfile in, and none of them is a server.
$LOAD_PATH.unshift(*Gem::Specification.find_by_name("webrick").full_require_paths)
require "/usr/share/redmine/config/boot"
require "/usr/share/redmine/config/application"
Rails.application.config.eager_load = false
Rails.application.config.log_level = :warn
Rails.application.initialize!

ActiveRecord::Migration.verbose = false
migrations = "/usr/share/redmine/db/migrate"
ActiveRecord::MigrationContext.new(migrations, ActiveRecord::SchemaMigration).migrate
ActiveRecord::Base.descendants.each(&:reset_column_information)
Redmine::DefaultData::Loader.load("en")

Setting.rest_api_enabled = "1"
Setting.default_language = "en"
Setting.text_formatting = "textile"
# Nobody reads its mails.
Setting.notified_events = []

admin = User.find_by(login: "admin")
admin.update!(must_change_passwd: false)
manager, reporter = Role.find_by(name: "Manager"), Role.find_by(name: "Reporter")
# The staff may do what a manager may; limited is a reporter, who can close nothing.
people = %w[forewarn ana ben limited].to_h do |login|
  user = User.new(firstname: login.capitalize, lastname: "Test", mail: "#{login}@forewarn.test")
  user.login = login
  user.password = user.password_confirmation = "a-password-of-tests"
  user.language = "en"
  user.save!
  [login, user]
end
projects = %w[support elsewhere strict secret].to_h do |identifier|
  project = Project.new(name: identifier.capitalize, identifier: identifier, is_public: false)
  project.trackers = Tracker.all
  project.enabled_module_names = %w[issue_tracking]
  project.save!
  [identifier, project]
end
projects.except("secret").each_value do |project|
  people.each do |login, user|
    Member.create!(project: project, user: user, roles: [login == "limited" ? reporter : manager])
  end
end
IssueCustomField.create!(
  name: "Customer", field_format: "string", is_for_all: true, trackers: Tracker.all
)
IssueCustomField.create!(
  name: "Site", field_format: "list", possible_values: %w[north south], is_required: true,
  projects: [projects["strict"]], trackers: Tracker.all
)
File.write(keys_file, people.merge("admin" => admin).transform_values(&:api_key).to_json)

require "rack/handler/webrick"
Rack::Handler::WEBrick.run(Rails.application, Host: "127.0.0.1", Port: port.to_i) do |server|
  trap("TERM") { server.shutdown }
end
